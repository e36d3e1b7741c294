"""Facts about data that steps read and made."""

from typing import ClassVar

from pydantic import Field

from dagwire_shared.events.base import EventBase
from dagwire_shared.events.values import Metadata
from dagwire_shared.ids import Name, StepKey
from dagwire_shared.subjects import Kind


class InputLoaded(EventBase):
    """A step's input was loaded."""

    TYPE: ClassVar[str] = "dagwire.data.input_loaded"
    KIND: ClassVar[Kind] = Kind.DATA

    step_key: StepKey
    input: Name
    upstream: list[str] = Field(default_factory=list)
    """``<step key>.<output>`` of each source; empty: from config or a default."""


class OutputProduced(EventBase):
    """A step's output was produced and handed to its IO manager."""

    TYPE: ClassVar[str] = "dagwire.data.output_produced"
    KIND: ClassVar[Kind] = Kind.DATA

    step_key: StepKey
    output: Name
    metadata: dict[str, Metadata] = Field(default_factory=dict)


class AssetMaterialized(EventBase):
    """A step says that it wrote an asset outside of Dagwire."""

    TYPE: ClassVar[str] = "dagwire.data.asset_materialized"
    KIND: ClassVar[Kind] = Kind.DATA

    step_key: StepKey
    asset_key: list[str] = Field(min_length=1)
    description: str = ""
    metadata: dict[str, Metadata] = Field(default_factory=dict)


class ExpectationChecked(EventBase):
    """A step checked its data."""

    TYPE: ClassVar[str] = "dagwire.data.expectation_checked"
    KIND: ClassVar[Kind] = Kind.DATA

    step_key: StepKey
    label: str
    success: bool
    description: str = ""
    metadata: dict[str, Metadata] = Field(default_factory=dict)
