"""Asking for runs and cancelling them: from what a client sent to a command on the bus. It keeps nothing."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.bus import Bus, Message
from dagwire_shared.commands import CancelRun, RequestRun
from dagwire_shared.envelope import decode, encode
from dagwire_shared.errors import MalformedMessageError
from dagwire_shared.events import Origin, RequestedBy
from dagwire_shared.ids import RunId, run_id_for
from dagwire_shared.locations import Location
from dagwire_shared.streams import REQUESTS
from dagwire_shared.subjects import control_subject, request_subject

from dagwire_dagit.code import Code
from dagwire_dagit.errors import ConfigInvalidError, ConflictingError, UnavailableError, UnknownError
from dagwire_dagit.hub import Hub
from dagwire_dagit.models import CancelAccepted, ConfigRequest, Launched, LaunchRequest, RunStatus
from dagwire_dagit.recent import recent_run
from dagwire_dagit.store import Store

SOURCE: Final = "/dagwire/dagit"
DEADLINE: Final = timedelta(seconds=10)
"""How long a client waits at most for the stream's word; after that the outcome is unknown and 503 says so."""
ENDED: Final = frozenset({RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED})


class Launches:
    """Publishes requests for runs, and orders to them."""

    def __init__(
        self,
        *,
        bus: Bus,
        code: Code,
        store: Store,
        hub: Hub,
        clock: Callable[[], datetime],
        deadline: timedelta = DEADLINE,
    ) -> None:
        self._bus = bus
        self._code = code
        self._store = store
        self._hub = hub
        self._clock = clock
        self._deadline = deadline

    async def launch(
        self, wanted: LaunchRequest, *, key: str | None, key_time: datetime | None, requested_by: RequestedBy
    ) -> Launched:
        """Ask for a run, and return when the stream holds the request.

        Raises:
            ConfigInvalidError: the run config does not fit the job.
            UnknownError: there is no such job.
            UnavailableError: the code server or the bus is away.
        """
        if wanted.repository is None:
            location, repository = self._code.repository_of(wanted.location, wanted.job)
        else:
            location, repository = self._code.repository(wanted.location, wanted.repository)
        job = self._code.find_job(repository, wanted.job)
        if key is not None and key_time is None and await self._known(key):
            return Launched(run_id=run_id_for(key), key=key, duplicate=True)
        await self._validate(location.name, repository.name, wanted)
        request = RequestRun(
            key=key if key is not None else str(uuid.uuid4()),
            key_time=key_time or self._clock(),
            location=location.name,
            repository=repository.name,
            job=job.name,
            preset=wanted.preset,
            run_config=wanted.run_config,
            tags=_tags(job, wanted),
            requested_by=requested_by,
            origin=_origin(location),
        )
        return await self._publish(request)

    async def cancel(self, run_id: RunId, *, requested_by: RequestedBy) -> CancelAccepted:
        """Ask that a run ends.

        Raises:
            ConflictingError: it has ended.
            UnknownError: nobody has heard of it yet.
            UnavailableError: the bus is away.
        """
        status = await self._status(run_id)
        if status in ENDED:
            raise ConflictingError(f"the run has ended: it is {status}", code="run_ended")
        command = CancelRun(run_id=run_id, requested_by=requested_by)
        nonce = str(uuid.uuid4())
        body = encode(command, id=nonce, source=SOURCE, subject=run_id, time=self._clock())
        await self._bus.streams.publish(Message(control_subject(run_id), body, id=nonce), deadline=self._deadline)
        return CancelAccepted(run_id=run_id)

    async def _validate(self, location: str, repository: str, wanted: LaunchRequest) -> None:
        config = ConfigRequest(preset=wanted.preset, run_config=wanted.run_config)
        verdict = await self._code.validate(location, repository, wanted.job, config)
        if verdict.errors:
            raise ConfigInvalidError(
                f"the run config does not fit the job {wanted.job!r} in {len(verdict.errors)} place(s)",
                details=verdict.errors,
            )

    async def _known(self, key: str) -> bool:
        """Return whether the history has this key's run: the stream forgets keys after two weeks, it does not."""
        return await self._store.run(run_id_for(key)) is not None

    async def _publish(self, request: RequestRun) -> Launched:
        run_id = run_id_for(request.key)
        nonce = str(uuid.uuid4())
        subject = request_subject(request.key)
        body = encode(request, id=nonce, source=SOURCE, subject=run_id, time=self._clock())
        receipt = await self._bus.streams.publish(Message(subject, body, id=nonce), deadline=self._deadline)
        duplicate = receipt.duplicate and not await self._is_ours(subject, nonce)
        return Launched(run_id=run_id, key=request.key, duplicate=duplicate)

    async def _is_ours(self, subject: str, nonce: str) -> bool:
        """Return whether the message that the stream kept is this very one, re-sent after a lost acknowledgement."""
        kept = await self._bus.streams.last(REQUESTS, subject)
        try:
            return kept is not None and decode(kept.body).id == nonce
        except MalformedMessageError:
            return False

    async def _status(self, run_id: RunId) -> RunStatus | None:
        """Return where the run is; None: the history is away, and the launcher shall judge.

        Raises:
            UnknownError: neither the history nor the feed has it.
        """
        recent = recent_run(self._hub.recent(run_id))
        if recent is not None and recent.status in ENDED:
            return recent.status
        try:
            stored = await self._store.run(run_id)
        except UnavailableError:
            return None
        if stored is None and recent is None:
            raise UnknownError(f"there is no run {run_id}, or it is not recorded yet", code="run_unknown")
        return stored.status if stored is not None else RunStatus.QUEUED


def _tags(job: pb.Job, wanted: LaunchRequest) -> dict[str, str]:
    """Return the job's tags, the preset's over them, and the request's over both."""
    preset = next((preset for preset in job.presets if preset.name == wanted.preset), None)
    return {**job.tags, **(preset.tags if preset is not None else {}), **wanted.tags}


def _origin(location: Location) -> Origin:
    image = location.server.image if location.server is not None else ""
    return Origin(image=image or None, definitions_hash=location.definitions_hash)
