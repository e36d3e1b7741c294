"""The small pure parts: times, tables, configs, references, lines of a log."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from dagwire.cli import config, narrative, references, tables, times
from dagwire.cli.exits import CommandError
from dagwire_shared.events import EVENT_TYPES

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (0.4, "now"), (-5, "5s ago"), (-90, "1m ago"), (3700, "in 1h"), (-86400 * 3, "3d ago")],
)
def test_relative_times(seconds, text):
    assert times.relative(NOW + timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0ms"), (0.0421, "42ms"), (0.9996, "1.0s"), (4.25, "4.2s"), (59.94, "59.9s"), (59.96, "1m 00s")),
        *((65, "1m 05s"), (3599.6, "1h 00m"), (8000, "2h 13m"), (100000, "1d 3h"), (-1, "0ms")),
    ],
)
def test_durations(seconds, text):
    assert times.duration(seconds) == text


def test_nothing_is_shown_for_no_time():
    assert (times.relative(None, NOW), times.duration(None), times.clock(None), times.parse(None)) == ("", "", "", None)


def test_a_table_aligns_wide_characters_and_leaves_empty_columns_out():
    rows = [("日本", "", "x"), ("a", "", "y")]

    assert click.unstyle(tables.table(("N", "EMPTY", "V"), rows)) == "N     V\n日本  x\na     y"


def test_a_cell_is_one_line():
    assert click.unstyle(tables.table(("A", "B"), [("x\ny", "first\n\nsecond")])) == "A    B\nx y  first"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ('{"ops": {"a": 1}}', {"ops": {"a": 1}}),
        ("{ops: {a: 2026-01-31}}", {"ops": {"a": "2026-01-31"}}),
        ("{a: 1e3, b: 12:30, c: [true, null]}", {"a": "1e3", "b": 750, "c": [True, None]}),
    ],
)
def test_a_config_is_yaml_or_json_and_dates_stay_text(text, value):
    assert config.read(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1, a: 2}", "the text is neither YAML nor JSON: line 1, column 8: the key 'a' is there twice"),
        ("[1]", "the text holds a list, a run config is a mapping"),
        ("{1: 2}", "holds a mapping with other keys than texts"),
        ("{a: !!python/object:os.system {}}", "neither YAML nor JSON"),
        ("nofile", "there is no file 'nofile'"),
        ("ops: {}", "a config on the command line is written as JSON, beginning with {"),
    ],
)
def test_a_config_that_is_none_says_why(text, message):
    with pytest.raises(click.BadParameter) as caught:
        config.read(text)

    assert message in caught.value.message


def test_a_config_file_says_what_is_wrong_with_it(tmp_path):
    binary, text = tmp_path / "b", tmp_path / "t.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    text.write_text("just a word")

    with pytest.raises(click.BadParameter, match="it is no UTF-8 text"):
        config.read(str(binary))
    with pytest.raises(click.BadParameter, match="holds the value 'just a word'"):
        config.read(str(text))
    with pytest.raises(click.BadParameter, match="cannot be read: Is a directory"):
        config.read(str(tmp_path))


def test_an_empty_file_is_an_empty_config(tmp_path):
    (tmp_path / "c.yaml").write_text("# nothing\n")

    assert config.read(str(tmp_path / "c.yaml")) == {}


def item(name: str, location: str = "one", repository: str = "__repository__") -> dict[str, str]:
    return {"name": name, "location": location, "repository": repository}


def test_a_reference_may_name_location_and_repository():
    items = [item("a"), item("a", "two", "team"), item("a", "two", "other")]

    assert references.find(items, "one/a", what="job") is items[0]
    assert references.find(items, "two/team/a", what="job") is items[1]
    assert references.find(items, "a", what="job", location="two", repository="other") is items[2]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("zzz", "there is no job 'zzz'; there are a, b"),
        ("nine/a", "there is no job 'a' in 'nine': it has no jobs at all"),
        ("a/b/c/d", "names no job: write NAME, LOCATION/NAME"),
        ("one/", "names no job"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(reference, message):
    with pytest.raises(CommandError) as caught:
        references.find([item("a"), item("b")], reference, what="job")

    assert message in caught.value.message


def test_every_type_of_event_of_a_run_has_its_line():
    known = {name for name, cls in EVENT_TYPES.items() if cls.KIND != "tick"}

    assert known == set(narrative._LINES)


def test_a_forced_drop_says_so():
    data = {"requested_by": {"kind": "ui", "name": "ann"}, "forced": True}

    assert narrative.describe({"type": "dagwire.run.dropped", "data": data}) == (
        "run cancelled by ui ann: its worker did not stop and was ended"
    )
