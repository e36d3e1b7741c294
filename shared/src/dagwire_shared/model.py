"""The base of every value that crosses the bus: frozen, tolerant of fields that a newer version adds."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


class Model(BaseModel):
    """An immutable value. Unknown fields are ignored, so an older reader understands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="float", use_attribute_docstrings=True)


Utc = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
"""A point in time; naive times are refused, others become UTC."""

Json = dict[str, Any]
"""A JSON object that users define: run config, log fields."""


def utc_now() -> datetime:
    """Return the time as an aware UTC datetime."""
    return datetime.now(UTC)
