"""Metadata: kinds are guessed from plain values, or stated."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import pytest
from dagwire import AssetKey, AssetMaterialization, MetadataValue
from dagwire.metadata import normalize_metadata


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        ("text", "text", "text"),
        (3, "int", 3),
        (True, "bool", True),
        (2.5, "float", 2.5),
        (Fraction(1, 2), "float", 0.5),
        (float("nan"), "text", "nan"),
        (None, "null", None),
        (PurePosixPath("/a/b"), "path", "/a/b"),
        ({"a": [1]}, "json", {"a": [1]}),
        ([1, 2], "json", [1, 2]),
        (datetime(2024, 1, 1, 12, tzinfo=UTC), "timestamp", "2024-01-01T12:00:00+00:00"),
        (MetadataValue.md("# x"), "md", "# x"),
        (MetadataValue.url("https://example.org"), "url", "https://example.org"),
        (MetadataValue.text("t"), "text", "t"),
        (MetadataValue.path("/x"), "path", "/x"),
        (MetadataValue.int(1), "int", 1),
        (MetadataValue.float(1.0), "float", 1.0),
        (MetadataValue.bool(False), "bool", False),
        (MetadataValue.json({"a": 1}), "json", {"a": 1}),
        (MetadataValue.table([{"a": 1}, {"a": 2}]), "table", [{"a": 1}, {"a": 2}]),
        (MetadataValue.timestamp(0.0), "timestamp", "1970-01-01T00:00:00+00:00"),
        (MetadataValue.null(), "null", None),
    ],
)
def test_a_value_is_shown_by_its_kind(value, kind, plain):
    (entry,) = normalize_metadata({"label": value}).values()
    assert (entry.kind, entry.value) == (kind, plain)


def test_a_value_that_cannot_be_shown_names_its_label_and_a_way_out():
    with pytest.raises(TypeError, match=r"metadata 'frame': a object cannot be shown; .*MetadataValue\.text"):
        normalize_metadata({"frame": object()})


def test_what_json_cannot_express_inside_a_value_becomes_text():
    (entry,) = normalize_metadata({"x": {"price": Decimal("1.5"), "f": len}}).values()
    assert entry.value == {"price": "1.5", "f": "<built-in function len>"}


def test_what_would_not_fit_into_a_message_is_cut():
    text, data = normalize_metadata({"t": "x" * 300_000, "j": ["x" * 300_000]}).values()
    assert text.value.endswith("… (300000 characters)")
    assert data.value == "(too large to be shown: 300004 bytes)"


def test_a_timestamp_needs_a_zone():
    with pytest.raises(ValueError, match="has no time zone"):
        MetadataValue.timestamp(datetime(2024, 1, 1))  # noqa: DTZ001 -- that is the point


def test_an_asset_key_is_one_name_or_several():
    assert AssetKey("a").path == ("a",)
    assert AssetKey(["a", "b"]).to_user_string() == "a/b"
    assert AssetMaterialization(["a", "b"]).key == AssetKey(["a", "b"])
    for wrong in ("", [], ["a", ""]):
        with pytest.raises(ValueError, match="an asset key is one name or a list of names"):
            AssetKey(wrong)
