"""Presets: named run configs of a job, chosen when it is launched or scheduled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagwire.composition import valid_name
from dagwire.config.model import as_run_config
from dagwire.tags import valid_tags


@dataclass(frozen=True)
class Preset:
    """A named run config: ``Preset("small", run_config={"ops": …})``. Checked against its job when that is defined."""

    name: str
    run_config: Any = field(default_factory=dict)
    """A ``RunConfig``, or the same as a mapping."""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None

    def __post_init__(self) -> None:
        valid_name(self.name, "preset")
        object.__setattr__(self, "run_config", as_run_config(self.run_config))
        object.__setattr__(self, "tags", valid_tags(self.tags, f"preset {self.name!r}"))
