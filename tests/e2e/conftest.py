"""Shared by the end-to-end tests."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def data_directory():
    """A new data directory. Not below pytest's ``tmp_path``, which each session closes to all other users: as root,
    PostgreSQL runs as one of them.
    """
    with tempfile.TemporaryDirectory(prefix="dagwire-", ignore_cleanup_errors=True) as directory:
        yield Path(directory) / "data"


@pytest.fixture(scope="module")
def module_data_directory():
    """The same for the tests of one module together."""
    with tempfile.TemporaryDirectory(prefix="dagwire-", ignore_cleanup_errors=True) as directory:
        yield Path(directory) / "data"
