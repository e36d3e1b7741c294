"""The base of every value that crosses the bus: frozen, tolerant of fields that a newer version adds."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Model(BaseModel):
    """An immutable value. Unknown fields are ignored, so an older reader understands a newer writer.

    The docstring below a field is its description in JSON Schemas. (Not by ``use_attribute_docstrings``: that
    parses the source of every class on import, which costs each run worker 27 ms of CPU.)
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="float")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON Schema with the fields' descriptions."""
        from dagwire_shared.docstrings import attribute_docstrings  # noqa: PLC0415 -- only documents need it

        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in attribute_docstrings(cls).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return schema


Utc = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
"""A point in time; naive times are refused, others become UTC."""

Json = dict[str, Any]
"""A JSON object that users define: run config, log fields."""


def utc_now() -> datetime:
    """Return the time as an aware UTC datetime."""
    return datetime.now(UTC)
