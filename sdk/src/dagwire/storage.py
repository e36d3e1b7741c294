"""IO managers: where outputs are kept between steps. In memory, or pickled in files."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, overload

from dagwire_shared.ids import check_name, check_run_id, check_step_key

from dagwire.config.model import Config
from dagwire.context import Resources
from dagwire.errors import ExecutionError, OutputMissingError
from dagwire.resource import InitResourceContext, ResourceDefinition, resource


@dataclass(frozen=True)
class OutputContext:
    """Which output is stored: of which run, step and name, with what metadata."""

    run_id: str
    step_key: str
    name: str
    annotation: Any = Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=lambda: Resources({}, "this IO manager"))


@dataclass(frozen=True)
class InputContext:
    """Which input is loaded, and the output that it comes from."""

    run_id: str
    step_key: str
    name: str
    upstream_output: OutputContext
    annotation: Any = Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=lambda: Resources({}, "this IO manager"))


class IOManager(ABC):
    """Keeps outputs and gives them back. One is chosen per output by ``Out(io_manager_key=…)``."""

    @abstractmethod
    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep an output."""

    @abstractmethod
    def load_input(self, context: InputContext) -> Any:
        """Give back the output ``context.upstream_output``."""


class InMemoryIOManager(IOManager):
    """Keeps outputs in this process."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], Any] = {}

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep an output."""
        self._values[context.run_id, context.step_key, context.name] = obj

    def load_input(self, context: InputContext) -> Any:
        """Give back the output."""
        source = context.upstream_output
        return self._values[source.run_id, source.step_key, source.name]


class FileSystemIOManager(IOManager):
    """Pickles each output into ``<directory>/<run id>/<step key>/<output>``; names are checked: no path leaves it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Write an output; a reader never sees half of it."""
        path = self._path(context)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        try:
            with draft.open("wb") as file:
                pickle.dump(obj, file, protocol=pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            draft.unlink(missing_ok=True)
            raise ExecutionError(
                f"output {context.name!r} of step {context.step_key!r} is a {type(obj).__name__}, which cannot be "
                f"pickled ({error}); return something else, or give the output an IO manager of its own"
            ) from error
        draft.replace(path)

    def load_input(self, context: InputContext) -> Any:
        """Read an output back."""
        path = self._path(context.upstream_output)
        try:
            with path.open("rb") as file:
                return pickle.load(file)  # noqa: S301 -- this run's own steps wrote it
        except FileNotFoundError as error:
            source = context.upstream_output
            raise OutputMissingError(
                f"output {source.name!r} of step {source.step_key!r} is not in {path.parent}; was it removed?"
            ) from error

    def _path(self, context: OutputContext) -> Path:
        step = check_step_key(context.step_key)
        return self._directory / check_run_id(context.run_id) / step / check_name(context.name)


IOManagerFunction: TypeAlias = Callable[..., IOManager]


@overload
def io_manager(config_schema: IOManagerFunction) -> ResourceDefinition: ...
@overload
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: set[str] | frozenset[str] | None = None,
) -> Callable[[IOManagerFunction], ResourceDefinition]: ...
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: set[str] | frozenset[str] | None = None,
) -> ResourceDefinition | Callable[[IOManagerFunction], ResourceDefinition]:
    """Make an IO manager of a function that returns one; like ``@resource``."""
    return resource(config_schema, description, required_resource_keys)


class _Directory(Config, defer_build=True):
    base_dir: str | None = None
    """Where outputs are kept; the run's own storage directory if not given."""


def _file_system(context: InitResourceContext) -> IOManager:
    """Pickles outputs into files."""
    directory = context.resource_config.base_dir or context.storage_directory
    if directory is None:
        raise ExecutionError("fs_io_manager has no directory: set its config base_dir")
    return FileSystemIOManager(Path(directory))


def _in_memory() -> IOManager:
    """Keeps outputs in the run's own process."""
    return InMemoryIOManager()


fs_io_manager: Final = ResourceDefinition(_file_system, _Directory, name="fs_io_manager")
"""Pickles outputs into files: what the multiprocess executor uses where a job names no other."""

mem_io_manager: Final = ResourceDefinition(_in_memory, name="mem_io_manager")
"""Keeps outputs in memory: what the in-process executor uses where a job names no other."""
