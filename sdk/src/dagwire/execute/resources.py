"""Sets resources up before steps and tears them down after, whatever happens in between."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from logging import Logger
from typing import Any

from dagwire_shared.events import EngineNoted, LogLevel

from dagwire.annotations import Nothing
from dagwire.config.model import config_value
from dagwire.context import namespace
from dagwire.errors import ExecutionError, error_info
from dagwire.execute.environment import Environment
from dagwire.plan import Step
from dagwire.requirements import resource_order
from dagwire.resource import InitResourceContext, ResourceDefinition


def needed_by(steps: Iterable[Step], environment: Environment) -> set[str]:
    """Return the resource keys that steps use: their own, and the IO managers of their outputs and inputs."""
    keys: set[str] = set()
    for step in steps:
        upstream = (environment.plan.step(one.step).op.outs[one.output] for one in step.upstream)
        stored = [out for out in (*step.op.outs.values(), *upstream) if out.annotation is not Nothing]
        keys |= step.op.required_resource_keys | {out.io_manager_key for out in stored}
    return keys


@contextmanager
def opened_resources(environment: Environment, keys: set[str], log: Logger) -> Iterator[Mapping[str, Any]]:
    """Yield the resources of these keys (and those they need), ready to be used.

    Raises:
        ExecutionError: one could not be set up.
    """
    definitions = environment.resources
    values: dict[str, Any] = {}
    opened: list[tuple[str, AbstractContextManager[Any]]] = []
    try:
        for key in resource_order(definitions, keys, f"job {environment.job.name!r}"):
            block = definitions[key].open(_context(environment, key, definitions[key], values, log))
            values[key] = _set_up(environment, key, block)
            opened.append((key, block))
        yield values
    finally:
        _tear_down(environment, opened)


def _context(
    environment: Environment, key: str, definition: ResourceDefinition, values: Mapping[str, Any], log: Logger
) -> InitResourceContext:
    config = environment.resolved.resources.get(key)
    if config is None and definition.config_adapter is not None:
        config = definition.config_adapter.validate_python({})
    return InitResourceContext(
        resource_config=config_value(definition.config_schema, config),
        resources=namespace(values, definition.required_resource_keys, f"resource {key!r}"),
        storage_directory=environment.storage_directory,
        run=environment.run,
        log=log,
    )


def _set_up(environment: Environment, key: str, block: AbstractContextManager[Any]) -> Any:
    started = time.monotonic()
    try:
        value = block.__enter__()
    except Exception as error:
        raise ExecutionError(f"resource {key!r} could not be set up: {type(error).__name__}: {error}") from error
    if key in environment.job.resource_defs:
        seconds = round(time.monotonic() - started, 3)
        environment.emit(
            EngineNoted(
                level=LogLevel.DEBUG,
                message=f"resource {key!r} is set up",
                fields={"resource": key, "seconds": seconds},
            )
        )
    return value


def _tear_down(environment: Environment, opened: list[tuple[str, AbstractContextManager[Any]]]) -> None:
    """Tear every resource down, the last first; one that fails is noted, and does not fail the run."""
    stopped: BaseException | None = None
    for key, block in reversed(opened):
        try:
            block.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001 -- user code; the run's outcome is settled
            info = error_info(error).model_dump(mode="json")
            note = f"resource {key!r} could not be torn down: {type(error).__name__}: {error}"
            environment.emit(EngineNoted(level=LogLevel.ERROR, message=note, fields={"resource": key, "error": info}))
        except BaseException as error:  # noqa: BLE001 -- told to stop: the others are torn down first
            stopped = error
    if stopped is not None:
        raise stopped
