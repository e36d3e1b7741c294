"""Writes into the state bucket what code locations have loaded, for those who do not ask code servers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb
from dagwire_shared.bus import State
from dagwire_shared.errors import BusError, ConflictError
from dagwire_shared.locations import Location, Status
from dagwire_shared.model import Json
from dagwire_shared.records import CodeLocation, CodePointer, location_key
from pydantic_core import from_json

_log: Final = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0


def record_of(location: Location) -> CodeLocation | None:
    """Return what is written of a location; None: its definitions are not current."""
    if location.status is not Status.LOADED or location.server is None or not location.definitions_hash:
        return None
    return CodeLocation(
        name=location.name,
        image=location.server.image or None,
        definitions_hash=location.definitions_hash,
        pointer=_pointer(location.server.code_pointer),
        repositories={
            name: [job.name for job in repository.jobs] for name, repository in location.repositories.items()
        },
        container_context=_object(location.server.container_context_json, location.name),
        container_configs=_container_configs(location),
    )


def _container_configs(location: Location) -> dict[str, dict[str, Json]]:
    by_repository = {
        name: {
            job.name: _object(job.container_config_json, f"{location.name}/{name}/{job.name}")
            for job in repository.jobs
            if job.container_config_json
        }
        for name, repository in location.repositories.items()
    }
    return {name: configs for name, configs in by_repository.items() if configs}


def _object(text: str, whose: str) -> Json:
    """Return what a code server says of pods; what is no JSON object, which ours never sends, is left out."""
    try:
        value = from_json(text) if text else {}
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    _log.warning("what shall hold for pods is no JSON object, and is left out", extra={"of": whose})
    return {}


def _pointer(pointer: pb.CodePointer) -> CodePointer:
    target = pointer.WhichOneof("target")
    return CodePointer(
        python_file=pointer.python_file if target == "python_file" else None,
        module_name=pointer.module_name if target == "module_name" else None,
        package_name=pointer.package_name if target == "package_name" else None,
        attribute=pointer.attribute if pointer.HasField("attribute") else None,
        working_directory=pointer.working_directory,
        executable=pointer.executable,
    )


async def register(state: State, changes: AsyncIterator[Location]) -> None:
    """Write each location's record when its definitions change, until cancelled."""
    async for location in changes:
        record = record_of(location)
        while record is not None:
            try:
                if await _write(state, record):
                    _log.info(
                        "code location recorded", extra={"location": record.name, "hash": record.definitions_hash}
                    )
                break
            except ConflictError:
                continue  # another replica wrote: see what
            except BusError as error:
                _log.warning("code location waits for the bus", extra={"location": record.name, "cause": str(error)})
                await asyncio.sleep(_PAUSE_SECONDS)


async def _write(state: State, record: CodeLocation) -> bool:
    """Write a record unless the bucket holds the same; return whether it was written."""
    key, value = location_key(record.name), record.model_dump_json().encode()
    entry = await state.get(key)
    if entry is not None and entry.value == value:
        return False
    await state.put(key, value, revision=entry.revision if entry is not None else 0)
    return True
