"""A run's directory: what it keeps, and for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagwire_launcher.procfs import Process
from dagwire_launcher.rundir import TAIL_BYTES, Record, RunDirectory, run_directories
from dagwire_launcher.surplus import surplus
from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import RunId, run_id_for

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECORD = Record(Process(7, 123, "boot"), NOON, 2)


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path, run_id_for("k"))
    with directory.locked():
        pass
    return directory


def test_what_is_noted_of_a_worker_is_read_again(run):
    assert run.record is None
    run.write_record(RECORD)
    assert run.record == RECORD


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"process": {"pid": 1}}'])
def test_a_note_that_was_cut_short_counts_as_none(run, content):
    (run.path / "worker.json").write_text(content)
    assert run.record is None


def test_only_the_owner_may_look_inside(run):
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_a_name_that_is_no_run_id_makes_no_path(tmp_path):
    with pytest.raises(InvalidIdentifierError):
        RunDirectory(tmp_path, RunId("../../etc"))


def test_a_long_output_is_cut_to_its_last_whole_lines(run):
    lines = [f"line {number}\n" for number in range(10_000)]
    run.output_file.write_text("".join(lines))
    run.trim_output(50_000)
    left = run.output_file.read_text()
    assert len(left) <= TAIL_BYTES
    assert left.splitlines()[0] in {line.strip() for line in lines}
    assert left.endswith("line 9999\n")


def test_a_short_output_is_left_alone(run):
    run.output_file.write_text("few words")
    run.trim_output(50_000)
    assert run.output == "few words"


def test_a_writer_that_appends_goes_on_after_a_cut(run):
    with run.output_file.open("ab", buffering=0) as writer:
        writer.write(b"x" * 60_000 + b"\nlast\n")
        run.trim_output(50_000)
        writer.write(b"more\n")
    assert run.output_file.read_bytes().endswith(b"last\nmore\n")
    assert b"\0" not in run.output_file.read_bytes()


def test_output_without_a_line_end_and_without_a_file_is_no_trouble(run):
    assert run.output == ""
    run.output_file.write_bytes(b"\xff" * 40_000)
    assert run.output


def test_only_run_directories_are_found(tmp_path, run):
    (tmp_path / "storage").mkdir()
    (tmp_path / "launcher-0.lock").touch()
    assert [one.run_id for one in run_directories(tmp_path)] == [run.run_id]
    assert run_directories(tmp_path / "missing") == []


def test_the_newest_are_kept_unless_they_are_too_old(tmp_path):
    released = [
        (NOON - timedelta(days=day), RunDirectory(tmp_path, run_id_for(f"run {day}"))) for day in (3, 0, 1, 2, 9)
    ]
    by_id = {run.run_id: at for at, run in released}

    def gone(**how: Any):
        return sorted((NOON - by_id[run.run_id]).days for run in surplus(released, **how))

    assert gone(keep=10, since=NOON - timedelta(days=5)) == [9]
    assert gone(keep=2, since=NOON - timedelta(days=5)) == [2, 3, 9]
    assert gone(keep=0, since=NOON - timedelta(days=5)) == [0, 1, 2, 3, 9]
