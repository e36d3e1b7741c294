"""Reads the run-config file, with a section for each platform that runs live on. Knows nothing of their content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from dagwire_shared.errors import SettingsError

SECTIONS: Final = ("docker", "kubernetes")


def read_section(file: Path | None, name: str) -> Mapping[str, Any]:
    """Return a section of the file; empty if there is none, or no file.

    Raises:
        SettingsError: the file cannot be read, or is none.
    """
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"the run config {file} cannot be read: {error}") from error
    if not isinstance(content := {} if content is None else content, Mapping):
        raise SettingsError(f"the run config {file} must be a mapping with the sections {', '.join(SECTIONS)}")
    if unknown := content.keys() - set(SECTIONS):
        names = ", ".join(sorted(map(str, unknown)))
        raise SettingsError(f"the run config {file} has no section {names}: its sections are {', '.join(SECTIONS)}")
    section = content.get(name)
    if not isinstance(section := {} if section is None else section, Mapping):
        raise SettingsError(f"the run config {file}: {name} must be a mapping")
    return section
