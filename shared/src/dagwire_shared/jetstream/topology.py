"""Creates the streams and the state bucket on a server, and brings their settings in line. Run by many at once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from dagwire_shared.errors import BusError, BusUnavailableError, PermissionDeniedError
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.adapter import JetStreamBus
from dagwire_shared.jetstream.reader import ASK_DEADLINE
from dagwire_shared.jetstream.state import PREFIX, STREAM
from dagwire_shared.streams import STREAMS, Stream

log = logging.getLogger(__name__)

Ask = Callable[[str, Any], Awaitable[api.Answer]]

_TRIES: Final = 5
_AGAIN_SECONDS: Final = 2.0
_MINUTES_2_NS: Final = 120 * 1_000_000_000


async def provision(bus: JetStreamBus, *, replicas: int = 1, deadline: timedelta = ASK_DEADLINE) -> None:
    """Create what is missing and update what drifted. Any number of processes may do so at once.

    What drifted is left to others by a process whose credential does not allow to update it.

    Raises:
        BusError: the server has no JetStream, is too old, or a stream has settings that cannot be changed.
        BusUnavailableError: no answer before the deadline, or too few servers for the replicas are there now.
    """
    for stream in STREAMS:
        await _ensure(partial(bus.streams.ask, deadline=deadline), stream_settings(stream, replicas=replicas))
    await _ensure(partial(bus.streams.ask, deadline=deadline), bucket_settings(replicas=replicas))


async def provision_in_time(bus: JetStreamBus, *, replicas: int) -> None:
    """Like ``provision``, but wait as long as it takes until the bus is there and its cluster is formed.

    Raises:
        BusError: as ``provision``; waiting would not help.
    """
    while True:
        await bus.connection.until_connected()
        try:
            await provision(bus, replicas=replicas)
        except BusUnavailableError as error:
            log.warning("streams cannot be made yet, trying again", extra={"cause": str(error)})
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


def stream_settings(stream: Stream, *, replicas: int) -> dict[str, Any]:
    """Return the settings of a stream in the words of the JetStream API."""
    per_subject = stream.max_messages_per_subject
    return {
        "name": stream.name,
        "description": stream.purpose,
        "subjects": [stream.subject],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_age": api.nanoseconds(stream.max_age) if stream.max_age else 0,
        "max_msgs_per_subject": per_subject or -1,
        "discard": "new" if stream.refuse_when_full else "old",
        "discard_new_per_subject": stream.refuse_when_subject_is_full,
        "duplicate_window": api.nanoseconds(stream.duplicate_window),
        "allow_direct": True,
        "allow_atomic": not stream.refuse_when_subject_is_full,
    }


def bucket_settings(*, replicas: int) -> dict[str, Any]:
    """Return the settings of the state bucket: those that NATS gives a key-value bucket with a history of one."""
    return {
        "name": STREAM,
        "description": "Switches, cursors, leases and code locations.",
        "subjects": [f"{PREFIX}>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "discard": "new",
        "duplicate_window": _MINUTES_2_NS,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
    }


async def _ensure(ask: Ask, wanted: Mapping[str, Any]) -> None:
    name = wanted["name"]
    answer = await ask(f"STREAM.INFO.{name}", None)
    for _ in range(_TRIES):
        if answer.error is None:
            await _align(ask, wanted, answer.content["config"])
            return
        if answer.error.err_code != api.ERR_STREAM_NOT_FOUND:
            break
        fresh = {**wanted, "metadata": {api.EPOCH: str(int(time.time()))}}
        created = await ask(f"STREAM.CREATE.{name}", fresh)
        if created.error is None:
            log.info("stream created", extra={"stream": name})
            return
        if created.error.err_code != api.ERR_STREAM_EXISTS:
            answer = created
            break
        answer = await ask(f"STREAM.INFO.{name}", None)
    _raise_if_passing(name, wanted, answer)
    raise BusError(f"stream {name} cannot be created: {answer.error}; Dagwire needs NATS 2.12 or newer with JetStream")


async def _align(ask: Ask, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    name = wanted["name"]
    drift = {key: value for key, value in wanted.items() if _differs(value, found.get(key))}
    if not drift:
        return
    try:
        answer = await ask(f"STREAM.UPDATE.{name}", {**found, **drift})
    except PermissionDeniedError:
        log.info("stream is brought in line by another service", extra={"stream": name, "settings": sorted(drift)})
        return
    if answer.error is not None:
        _raise_if_passing(name, wanted, answer)
        raise BusError(
            f"stream {name} has settings that cannot be changed ({', '.join(sorted(drift))}): {answer.error}; "
            "export what it holds and delete it, then start again"
        )
    log.info("stream updated", extra={"stream": name, "settings": sorted(drift)})


def _raise_if_passing(name: str, wanted: Mapping[str, Any], answer: api.Answer) -> None:
    """Raise if the cluster has too few servers now: those that start together find one another one by one."""
    if answer.error is not None and answer.error.err_code == api.ERR_NO_PEERS:
        raise BusUnavailableError(
            f"stream {name} cannot have {wanted['num_replicas']} replicas now: {answer.error}; "
            "the NATS cluster has too few servers, or too little room"
        )


def _differs(wanted: object, found: object) -> bool:
    return bool(wanted != found and not (found is None and wanted in (False, 0)))
