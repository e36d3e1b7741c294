"""Which code locations `dagwire up` serves: from its options to names and arguments. Loads no user code."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagwire_standalone import ports
from dagwire_standalone.errors import StandaloneError
from dagwire_standalone.parts import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The options that name user code, as given."""

    python_files: Sequence[str] = ()
    modules: Sequence[str] = ()
    packages: Sequence[str] = ()
    attribute: str | None = None
    working_directory: str | None = None


def codes(sources: Sources, *, host: str) -> list[Code]:
    """Return one code location for each file, module and package.

    Raises:
        StandaloneError: nothing is named, a file is missing, or two would have the same name.
    """
    folder = Path(sources.working_directory or ".").resolve()
    if not folder.is_dir():
        raise StandaloneError(f"The working directory {folder} does not exist: give an existing one with -d.")
    common = ["-a", sources.attribute] if sources.attribute else []
    found: list[tuple[str, list[str], Path]] = []
    for file in sources.python_files:
        path = Path(file).resolve()
        if not path.is_file():
            raise StandaloneError(f"There is no file {file}: give the Python file that holds your jobs with -f.")
        own = folder if sources.working_directory else path.parent
        found.append((_file_name(path), ["-f", str(path), "-d", str(own), *common], own))
    found += [(_name(module), ["-m", module, "-d", str(folder), *common], folder) for module in sources.modules]
    found += [
        (_name(package), ["--package-name", package, "-d", str(folder), *common], folder)
        for package in sources.packages
    ]
    if not found:
        raise StandaloneError("Nothing to serve: name your code with -f FILE, -m MODULE or --package-name PACKAGE.")
    names = [name for name, _, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StandaloneError(f"Two code locations would be called {twice[0]}: rename one of the files.")
    return [Code(name, arguments, own, ports.free(host)) for name, arguments, own in found]


def _file_name(path: Path) -> str:
    """Return ``weather`` for ``01_weather/repo.py``: the folder says more than a file that is called repo."""
    generic = path.stem in {"repo", "repository", "definitions", "defs", "main", "__init__"}
    return _name(path.parent.name if generic and path.parent.name else path.stem)


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", text)
    name = re.sub(r"^[\d_-]+(?=[A-Za-z])", "", name)
    return name[:63] or "code"
