"""Log lines, stdout and stderr become events, and still go where they went before."""

# ruff: noqa: T201 -- printing is what is tested

import io
import logging
import os
import subprocess
import sys
import threading

import pytest
from dagwire import job, op
from dagwire.execute.logs import CurrentStep
from dagwire.execute.streams import captured_descriptors, captured_text
from dagwire_shared.events import LogLevel, LogWritten


def lines(result):
    return [event for event in result.events if isinstance(event, LogWritten)]


def run(function):
    definition = op(function)

    @job
    def j():
        definition()

    return j.execute_in_process()


def test_a_line_of_the_context_has_level_message_and_fields():
    def f(context):
        context.log.debug("looked")
        context.log.warning("%s of %s", 3, 4, extra={"rows": 3, "where": {"a": 1}, "odd": object})

    debug, warning = lines(run(f))
    assert (debug.level, debug.message, debug.logger, debug.stream, debug.step_key) == (
        LogLevel.DEBUG,
        "looked",
        None,
        "log",
        "f",
    )
    assert (warning.level, warning.message) == (LogLevel.WARNING, "3 of 4")
    assert warning.fields == {"rows": 3, "where": {"a": 1}, "odd": "<class 'object'>"}


def test_an_exception_in_the_log_has_its_traceback():
    def f(context):
        try:
            {}["x"]
        except KeyError:
            context.log.exception("lost")

    (line,) = lines(run(f))
    assert (line.level, line.message) == (LogLevel.ERROR, "lost")
    assert line.fields["exception"].endswith("KeyError: 'x'")


def test_arguments_that_do_not_fit_their_message_do_not_fail_the_step():
    def f(context):
        context.log.info("%d rows", "many")

    (line,) = lines(run(f))
    assert line.message.startswith("%d rows ('many',)")


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "DEBUG"), (10, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARNING"), (40, "ERROR"), (99, "CRITICAL")],
)
def test_any_level_number_has_a_level(number, level):
    def f(context):
        context.log.log(max(number, 10), "x")

    if number >= 10:
        assert lines(run(f))[0].level == level


def test_stdlib_loggers_are_captured_from_info_on_with_their_names():
    def f():
        logging.getLogger("library.part").info("working", extra={"n": 1})
        logging.getLogger("library").debug("details")

    (line,) = lines(run(f))
    assert (line.logger, line.message, line.fields, line.step_key) == ("library.part", "working", {"n": 1}, "f")


def test_dagwires_own_loggers_are_not_captured():
    def f():
        for name in ("dagwire", "dagwire.worker", "dagwire_shared.jetstream", "nats.aio"):
            logging.getLogger(name).warning("about the run, not of it")
        logging.getLogger("dagwirelike").warning("of the user")

    assert [line.logger for line in lines(run(f))] == ["dagwirelike"]


def test_the_root_logger_is_as_it_was_afterwards():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    run(lambda_op)
    assert (root.level, root.handlers) == before


def lambda_op():
    """Do nothing."""


def test_what_is_printed_is_captured_line_by_line_and_still_printed(capsys):
    def f():
        print("one\ntwo")
        print("part", end="")
        print("three", file=sys.stderr)

    captured = [(line.stream, line.message) for line in lines(run(f))]
    assert captured == [("stdout", "one"), ("stdout", "two"), ("stderr", "three"), ("stdout", "part")]
    assert capsys.readouterr() == ("one\ntwo\npart", "three\n")


def test_what_is_printed_comes_before_the_steps_end():
    def f():
        print("last words", end="")

    kinds = [type(event).__name__ for event in run(f).events]
    assert kinds.index("LogWritten") < kinds.index("StepSucceeded")


def test_a_progress_bar_is_one_line_in_its_last_state():
    def f():
        for percent in (10, 50, 100):
            print(f"\r{percent} %", end="")
        print()

    assert [line.message for line in lines(run(f))] == ["100 %"]


def test_a_line_without_end_is_cut():
    def f():
        print("x" * 100_000)

    lengths = [len(line.message) for line in lines(run(f))]
    assert sum(lengths) == 100_000
    assert max(lengths) <= 32_768


def test_the_streams_are_as_they_were_afterwards():
    before = (sys.stdout, sys.stderr)
    with captured_text([].append, CurrentStep()):
        assert sys.stdout is not before[0]
        assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before


# --- descriptors


class Caught:
    """What was captured."""

    def __init__(self) -> None:
        self.events = []
        self.step = CurrentStep()

    @property
    def lines(self):
        return [(event.stream, event.message) for event in self.events]


@pytest.fixture
def caught():
    return Caught()


def test_descriptors_are_captured_with_those_of_child_processes(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step):
        print("python")
        os.write(1, b"descriptor\n")
        subprocess.run(["sh", "-c", "echo child; echo complaint >&2"], check=True)
    assert [line for line in caught.lines if line[0] == "stdout"] == [
        ("stdout", "python"),
        ("stdout", "descriptor"),
        ("stdout", "child"),
    ]
    assert ("stderr", "complaint") in caught.lines
    assert capfd.readouterr() == ("python\ndescriptor\nchild\n", "complaint\n")


def test_settling_waits_for_everything_written_before(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step) as capture:
        for number in range(2_000):
            print(number)
        print("rest", end="")
        capture.settle()
        assert [message for _, message in caught.lines] == [*(str(number) for number in range(2_000)), "rest"]
    assert len(capfd.readouterr().out.splitlines()) == 2_001


def test_lines_belong_to_the_step_that_runs_when_they_are_settled(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step) as capture:
        for key in ("a", "b"):
            caught.step.key = key
            print(f"from {key}")
            capture.settle()
    assert [(event.step_key, event.message) for event in caught.events] == [("a", "from a"), ("b", "from b")]


def test_bytes_that_are_no_text_and_characters_cut_in_two_survive(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step) as capture:
        os.write(1, "ä".encode()[:1])
        capture.settle  # noqa: B018 -- not called: the next write completes the character
        os.write(1, "ä".encode()[1:] + b"\xff\x00 end\n")
    assert caught.lines == [("stdout", "ä\ufffd\0 end")]


def test_more_than_a_pipe_holds_is_captured(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step):
        sys.stdout.write("y" * 3_000_000 + "\n")
    assert sum(len(message) for _, message in caught.lines) == 3_000_000
    assert len(capfd.readouterr().out) == 3_000_001


def test_a_process_left_behind_does_not_hold_the_capture(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step):
        left = subprocess.Popen(["sleep", "60"])
        print("done")
    try:
        assert caught.lines == [("stdout", "done")]
        assert "dagwire-capture" not in {thread.name for thread in threading.enumerate()}
    finally:
        left.kill()
        left.wait()


def test_a_descriptor_that_user_code_closes_does_not_hold_the_capture(caught, capfd):
    with captured_descriptors(caught.events.append, caught.step) as capture:
        print("before")
        sys.stdout.flush()
        kept = os.dup(1)
        os.close(1)
        capture.settle()
        os.dup2(kept, 1)
        os.close(kept)
        print("after")
    assert caught.lines == [("stdout", "before"), ("stdout", "after")]


def test_writing_goes_on_when_emitting_fails(capfd):
    def refuse(_event):
        raise OSError("the bus is gone")

    with captured_descriptors(refuse, CurrentStep()) as capture:
        sys.stdout.write("x\n" * 1_000_000)
        capture.settle()
    assert len(capfd.readouterr().out) == 2_000_000


def test_log_handlers_write_past_the_capture(caught):
    real = io.StringIO()
    before = sys.stderr
    sys.stderr = real
    handler = logging.StreamHandler(real)
    logging.getLogger().addHandler(handler)
    try:
        with captured_descriptors(caught.events.append, caught.step):
            assert handler.stream is not real
        assert handler.stream is real
    finally:
        logging.getLogger().removeHandler(handler)
        sys.stderr = before
    assert caught.lines == []
