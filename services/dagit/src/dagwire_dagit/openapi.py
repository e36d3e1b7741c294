"""The OpenAPI document: the routes, and the shape of every event they carry.

``python -m dagwire_dagit.openapi`` writes it to ``services/dagit/openapi.json``; a test tells when that is stale.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from dagwire_shared.envelope import Envelope
from dagwire_shared.events import EVENT_TYPES, Event
from pydantic import BaseModel, create_model
from pydantic.json_schema import models_json_schema

from dagwire_dagit.api import create_api
from dagwire_dagit.models import CaughtUp, FeedEvent, Problem

_REF: Final = "#/components/schemas/{model}"
TARGET: Final = Path(__file__).parents[2] / "openapi.json"
"""Where the committed document is, in a checkout."""


@cache
def text() -> str:
    """Return the document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """Return the OpenAPI document: the routes, each with its permission, and the events among the schemas."""
    api = create_api()
    openapi = api.openapi()
    schemas: dict[str, Any] = openapi["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_event_schemas())
    openapi["components"]["schemas"] = dict(sorted(schemas.items()))
    return openapi


def _event_schemas() -> dict[str, Any]:
    """One envelope per known type, joined in ``KnownEvent`` by the type's name; and what the feed sends."""
    envelopes = [_envelope(name, cls) for name, cls in EVENT_TYPES.items()]
    models: list[type[BaseModel]] = [*envelopes, CaughtUp, FeedEvent, Problem]
    _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    schemas["KnownEvent"] = {
        "description": "An event of a type that this version knows. Others are carried too: see Envelope.",
        "oneOf": [{"$ref": _REF.format(model=envelope.__name__)} for envelope in envelopes],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                name: _REF.format(model=envelope.__name__)
                for name, envelope in zip(EVENT_TYPES, envelopes, strict=True)
            },
        },
    }
    return schemas


def _envelope(name: str, cls: type[Event]) -> type[BaseModel]:
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (cls, ...)}
    return create_model(f"{cls.__name__}Event", __base__=Envelope, __doc__=cls.__doc__, **fields)


def main() -> None:
    """Write the document into the checkout, or to the file named."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
