"""Makes the backend that the settings name. A launcher imports the client of its own backend, and no other."""

import importlib
from typing import Final

from dagwire_launcher.backend import Backend
from dagwire_launcher.settings import Settings

_MODULES: Final = {
    "process": "dagwire_launcher.process",
    "docker": "dagwire_launcher.docker.backend",
    "kubernetes": "dagwire_launcher.kubernetes.backend",
}
"""Each has ``make_backend``. Imported by name: the clients of platforms take more memory than all of the launcher."""


def make_backend(settings: Settings) -> Backend:
    """Return the backend that run workers are created by.

    Raises:
        SettingsError: a setting of this backend is wrong.
    """
    backend: Backend = importlib.import_module(_MODULES[settings.backend]).make_backend(settings)
    return backend
