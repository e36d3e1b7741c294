"""The public API: its names, that each is explained, and that importing it is light."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import dagwire
import pytest


def test_the_names_are_sorted_and_few():
    assert dagwire.__all__ == sorted(dagwire.__all__)
    assert len(dagwire.__all__) <= 80
    assert len(set(dagwire.__all__)) == len(dagwire.__all__)


def test_every_name_has_a_home_and_every_home_a_name():
    assert set(dagwire._HOMES) == set(dagwire.__all__)
    assert set(dagwire.__all__) <= set(dir(dagwire))


def test_a_name_that_is_also_a_module_stays_the_function():
    for name in dagwire.__all__:
        importlib.import_module(dagwire._HOMES[name])
    assert not [name for name in dagwire.__all__ if inspect.ismodule(getattr(dagwire, name))]


def test_a_name_that_does_not_exist_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match="module 'dagwire' has no attribute 'pipeline'"):
        _ = dagwire.pipeline


@pytest.mark.parametrize("name", dagwire.__all__)
def test_every_public_class_and_function_is_explained(name):
    value = getattr(dagwire, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


HEAVY = ["asyncio", "click", "fastapi", "grpc", "httpx", "multiprocessing", "nats", "polars", "ssl", "subprocess"]


@pytest.mark.parametrize("module", ["dagwire", "dagwire.execute"])
def test_importing_it_brings_no_heavy_library(module):
    code = f"import {module}, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_readmes_example_runs():
    readme = Path(__file__).parents[3] / "sdk" / "README.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(snippet, str(readme), "exec"), {"__name__": "readme"})  # noqa: S102 -- our own page
