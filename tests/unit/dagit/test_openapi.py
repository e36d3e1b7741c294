import re
from pathlib import Path

import pytest
from dagwire_dagit import openapi
from dagwire_shared.events import EVENT_TYPES

COMMITTED = Path(__file__).parents[3] / "services" / "dagit" / "openapi.json"


@pytest.fixture(scope="module")
def document():
    return openapi.document()


def test_the_committed_document_is_fresh():
    assert COMMITTED.read_text() == openapi.text(), "run: python -m dagwire_dagit.openapi"


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", COMMITTED.read_text())) <= schemas.keys()


def test_every_event_type_is_described_with_its_payload(document):
    schemas = document["components"]["schemas"]
    assert schemas["KnownEvent"]["discriminator"]["mapping"].keys() == EVENT_TYPES.keys()
    for name, cls in EVENT_TYPES.items():
        envelope = schemas[f"{cls.__name__}Event"]
        assert envelope["properties"]["type"]["const"] == name
        assert envelope["properties"]["data"] == {"$ref": f"#/components/schemas/{cls.__name__}"}


def test_every_problem_is_one_shape(document):
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and "content" in answer:
                    shape = answer["content"]["application/json"]["schema"]["$ref"]
                    assert shape.endswith(("/Problem", "/Health"))


async def test_dagit_serves_the_document(dagit, document):
    answer = await dagit.client.get("/openapi.json")
    assert answer.json() == document
