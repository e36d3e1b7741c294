"""Run config: how user code declares it, its JSON Schema, and how a given one is checked and completed."""

from dagwire.config.model import Config, Field, PermissiveConfig, RunConfig, as_run_config, merge_config
from dagwire.config.tree import Leaf, Section

__all__ = [
    "Config",
    "Field",
    "Leaf",
    "PermissiveConfig",
    "RunConfig",
    "Section",
    "as_run_config",
    "merge_config",
]
