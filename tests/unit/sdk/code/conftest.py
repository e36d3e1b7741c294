"""What the tests of loading share: a folder for code, and a process that is as before afterwards."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from dagwire_shared.records import CodePointer

JOB = """
    from dagwire import job, op

    @op
    def load() -> int:
        return 1

    @job
    def weather():
        load()
"""


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("dagwire"):
            del sys.modules[name]


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file of code below the test's folder."""

    def write_(name: str, text: str = JOB) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    return write_


@pytest.fixture
def pointer(tmp_path: Path) -> Callable[..., CodePointer]:
    """Return a function that makes a pointer into the test's folder."""

    def pointer_(**fields: str) -> CodePointer:
        return CodePointer(**{"working_directory": str(tmp_path), "executable": sys.executable, **fields})

    return pointer_
