"""Imports the code that a pointer names, and imports it afresh after a change. What it serves: ``collection``."""

import importlib
import importlib.machinery
import importlib.util
import linecache
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

from dagwire_shared.records import CodePointer

from dagwire.code.collection import collect
from dagwire.code.errors import DefinitionNotFoundError, load_error
from dagwire.errors import CodeLoadError
from dagwire.job import JobDefinition
from dagwire.repository import DEFAULT_REPOSITORY, RepositoryDefinition
from dagwire.schedule import ScheduleDefinition

_NEVER_PURGED: Final = frozenset({"dagwire", "dagwire_shared", "dagwire_protos", "__main__"})
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD_LIBRARY: Final = Path(sysconfig.get_paths()["stdlib"])

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Code:
    """What a pointer's code serves."""

    pointer: CodePointer
    repositories: Mapping[str, RepositoryDefinition]

    def repository(self, name: str) -> RepositoryDefinition:
        """Return a repository by name.

        Raises:
            DefinitionNotFoundError: there is none of that name.
        """
        return _named(self.repositories, name, "repository", "this code location")

    def job(self, repository: str, name: str) -> JobDefinition:
        """Return a job by its repository and name.

        Raises:
            DefinitionNotFoundError: there is none of that name.
        """
        return _named(self.repository(repository).jobs, name, "job", _place(repository))

    def schedule(self, repository: str, name: str) -> ScheduleDefinition:
        """Return a schedule by its repository and name.

        Raises:
            DefinitionNotFoundError: there is none of that name.
        """
        return _named(self.repository(repository).schedules, name, "schedule", _place(repository))


def load(pointer: CodePointer) -> Code:
    """Import the code that the pointer names, and return what it serves.

    The working directory (and a file's own folder) is put on ``sys.path``, first, and stays there: user
    code imports as it runs.

    Raises:
        CodeLoadError: the code was not found, failed to import, or serves nothing; its ``error`` has the
            user's frames and the chain of causes.
    """
    return CodeLoader(pointer).load()


class CodeLoader:
    """Loads one pointer's code again and again in one process."""

    def __init__(self, pointer: CodePointer) -> None:
        self._pointer = pointer
        self._folders = folders(pointer)
        self._known = frozenset(sys.modules)

    def load(self) -> Code:
        """Import the code, or import it afresh: modules below its folders that earlier loads brought are forgotten.

        Installed packages are never imported twice. Objects of an earlier load stay usable by who holds them.

        Raises:
            CodeLoadError: as ``load`` says.
        """
        self._forget()
        for folder in reversed(self._folders):
            _put_first(str(folder))
        place = describe(self._pointer)
        try:
            module = _import(self._pointer, place)
            return Code(self._pointer, collect(module, attribute=self._pointer.attribute, place=place))
        except CodeLoadError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{place} could not be imported: {_brief(error)}{_hint(error, self._pointer)}"
            raise load_error(message, error) from error

    def _forget(self) -> None:
        for name, module in list(sys.modules.items()):
            if name not in self._known and _is_users(name, module, self._folders):
                del sys.modules[name]
        importlib.invalidate_caches()
        linecache.checkcache()


def folders(pointer: CodePointer) -> tuple[Path, ...]:
    """Return the folders that user code is imported from, as they stand on ``sys.path``."""
    working = Path(pointer.working_directory).resolve()
    if pointer.python_file is None:
        return (working,)
    own = _file(pointer.python_file, working).parent
    return (working,) if own == working else (working, own)


def describe(pointer: CodePointer) -> str:
    """Return the code as its user calls it."""
    if pointer.python_file is not None:
        return f"file {pointer.python_file}"
    if pointer.module_name is not None:
        return f"module {pointer.module_name!r}"
    return f"package {pointer.package_name!r}"


def _file(python_file: str, working: Path) -> Path:
    return (working / python_file).resolve()


def _put_first(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)


def _import(pointer: CodePointer, place: str) -> ModuleType:
    working = Path(pointer.working_directory)
    if not working.is_dir():
        raise load_error(f"the working directory {working} does not exist")
    if pointer.python_file is not None:
        return _import_file(_file(pointer.python_file, working), place)
    name = pointer.module_name or pointer.package_name
    if name is None:
        raise load_error("nothing to load: name a python file, a module or a package")
    _check_exists(name, place, working)
    module = importlib.import_module(name)
    if pointer.package_name is not None and not hasattr(module, "__path__"):
        raise load_error(f"{place} is a module, not a package: name it as a module (-m {name})")
    return module


def _check_exists(name: str, place: str, working: Path) -> None:
    """Tell a wrong name from a module that fails: importing the parents may itself run user code."""
    if name.startswith("."):
        raise load_error(f"{place} cannot be imported by that name: write it in full, like package.module")
    for parent in _parents(name):
        importlib.import_module(parent)
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None  # the parent is a module, not a package
    except ValueError:
        raise load_error(f"{place} cannot be imported by that name: write it in full, like package.module") from None
    if found is None:
        hint = "a file is named with -f" if name.endswith(".py") else "-d names another working directory"
        raise load_error(
            f"{place} was not found in the working directory {working.resolve()}"
            f" nor among the installed packages; {hint}"
        )


def _parents(name: str) -> Iterator[str]:
    """Yield those parents of a dotted name that exist, outermost first."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        parent = ".".join(parts[:count])
        if not parent or importlib.util.find_spec(parent) is None:
            return
        yield parent


def _import_file(file: Path, place: str) -> ModuleType:
    if file.is_dir():
        raise load_error(f"{place} is a folder: -f takes a python file, --package-name a package")
    if not file.exists():
        raise load_error(f"{place} does not exist" + (f" (looked for {file})" if str(file) not in place else ""))
    name = file.stem
    if _imports_as(name, file):
        return importlib.import_module(name)
    return _import_under(f"_dagwire_file_{sha256(str(file).encode()).hexdigest()[:12]}", file)


def _imports_as(name: str, file: Path) -> bool:
    """Return whether ``import <name>`` means this file: then it is loaded under that name, once for all importers."""
    if name in sys.modules:
        loaded = getattr(sys.modules[name], "__file__", None)
        return name not in _NEVER_PURGED and loaded is not None and Path(loaded).resolve() == file
    if not name.isidentifier():
        return False
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file


def _import_under(name: str, file: Path) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    if spec is None:  # pragma: no cover -- an explicit loader always gives a spec
        raise load_error(f"file {file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered first, as `import` does: dataclasses and pickle look the module up by name.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_users(name: str, module: ModuleType, roots: tuple[Path, ...]) -> bool:
    if name.partition(".")[0] in _NEVER_PURGED:
        return False
    return any(_is_below(path, roots) for path in _paths(module))


def _paths(module: ModuleType) -> Iterator[Path]:
    """Yield where a module comes from; a namespace package has folders only."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        yield Path(file)
        return
    try:
        yield from [Path(folder) for folder in getattr(module, "__path__", ())]
    except (KeyError, TypeError):  # a namespace package whose parent is forgotten already
        return


def _is_below(path: Path, roots: tuple[Path, ...]) -> bool:
    path = path.resolve()
    if _INSTALLED.intersection(path.parts) or path.is_relative_to(_STANDARD_LIBRARY):
        return False
    return any(path.is_relative_to(root) for root in roots)


def _named(values: Mapping[str, _Value], name: str, what: str, place: str) -> _Value:
    try:
        return values[name]
    except KeyError:
        known = ", ".join(repr(other) for other in sorted(values)) or "none"
        raise DefinitionNotFoundError(f"{place} has no {what} {name!r}; it has {known}") from None


def _place(repository: str) -> str:
    return "this code location" if repository == DEFAULT_REPOSITORY else f"repository {repository!r}"


def _brief(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended the program (sys.exit({error.code!r}))"
    text = str(error).strip().split("\n", maxsplit=1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _hint(error: BaseException, pointer: CodePointer) -> str:
    if isinstance(error, ImportError) and "attempted relative import" in str(error) and pointer.python_file:
        return "; a file with relative imports is loaded as a module: use -m package.module"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"; install it, or name the folder that holds {error.name.partition('.')[0]!r} with -d"
    return ""
