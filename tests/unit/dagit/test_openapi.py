import re
from pathlib import Path

from dagwire_dagit import openapi
from dagwire_shared.events import EVENT_TYPES

COMMITTED = Path(__file__).parents[3] / "services" / "dagit" / "openapi.json"


def test_the_committed_document_is_fresh():
    assert COMMITTED.read_text() == openapi.text(), "run: python -m dagwire_dagit.openapi"


def test_every_reference_leads_somewhere():
    schemas = openapi.document()["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", openapi.text())) <= schemas.keys()


def test_every_event_type_is_described_with_its_payload():
    schemas = openapi.document()["components"]["schemas"]
    assert schemas["KnownEvent"]["discriminator"]["mapping"].keys() == EVENT_TYPES.keys()
    for name, cls in EVENT_TYPES.items():
        envelope = schemas[f"{cls.__name__}Event"]
        assert envelope["properties"]["type"]["const"] == name
        assert envelope["properties"]["data"] == {"$ref": f"#/components/schemas/{cls.__name__}"}


def test_every_problem_is_one_shape():
    for path in openapi.document()["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and "content" in answer:
                    shape = answer["content"]["application/json"]["schema"]["$ref"]
                    assert shape.endswith(("/Problem", "/Health"))


async def test_dagit_serves_the_document(dagit):
    answer = await dagit.client.get("/openapi.json")
    assert answer.json() == openapi.document()
