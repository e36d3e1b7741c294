"""Runs as a run worker executes them: with real step processes, real descriptors and real signals."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
from dagwire.code import load
from dagwire.execute import Elsewhere, RunCancellation, RunInfo, execute_run, parallel
from dagwire_shared.events import (
    EngineNoted,
    LogWritten,
    RunCanceled,
    RunFailed,
    RunPlanned,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from dagwire_shared.records import CodePointer

USER_CODE = Path(__file__).parent / "user_code.py"
POINTER = CodePointer(python_file=str(USER_CODE), working_directory=str(USER_CODE.parent), executable=sys.executable)


@pytest.fixture(scope="module")
def code():
    return load(POINTER)


class Run:
    """One run, with what it said."""

    def __init__(self, job, directory) -> None:
        self.job = job
        self.directory = directory
        self.events = []
        self.ended = None
        self.on_event = lambda _event: None

    def emit(self, event):
        self.events.append(event)
        self.on_event(event)

    def execute(self, run_config=None, preset=None, pointer=POINTER):
        run = RunInfo(str(uuid.uuid4()), self.job.name, repository="__repository__")
        self.ended = execute_run(
            self.job,
            run=run,
            run_config=run_config or {},
            preset=preset,
            emit=self.emit,
            storage_directory=self.directory,
            elsewhere=Elsewhere(pointer),
        )
        return self

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def pids(self):
        return {event.step_key: event.pid for event in self.of(StepStarted)}

    @property
    def errors(self):
        return {event.step_key: event.error for event in self.of(StepFailed)}


@pytest.fixture
def run(code, tmp_path):
    return lambda name: Run(code.job("__repository__", name), tmp_path)


def test_a_chain_runs_in_one_other_process_in_order(run):
    chain = run("chain").execute()
    assert isinstance(chain.ended, RunSucceeded)
    assert isinstance(chain.events[0], RunPlanned)
    assert chain.events[0].executor == "multiprocess"
    assert [event.step_key for event in chain.of(StepSucceeded)] == ["one", "increment", "increment_2", "increment_3"]
    assert len(set(chain.pids.values())) == 1
    assert os.getpid() not in chain.pids.values()


def test_each_step_gets_a_new_process_where_that_is_wanted(run):
    places = run("places").execute({"execution": {"config": {"reuse_processes": False}}})
    assert isinstance(places.ended, RunSucceeded)
    assert len(set(places.pids.values())) == 3


def test_independent_steps_run_at_the_same_time(run, tmp_path):
    def config(name, other):
        return {"config": {"folder": str(tmp_path), "name": name, "other": other}}

    meeting = run("meeting").execute({"ops": {"a": config("a", "b"), "b": config("b", "a")}})
    assert isinstance(meeting.ended, RunSucceeded)
    assert len(set(meeting.pids.values())) == 2


def test_a_process_that_dies_fails_its_step_alone_and_says_how(run):
    accidents = run("accidents").execute()
    assert {key: (error.type, error.message) for key, error in accidents.errors.items()} == {
        "killed": (
            "dagwire.StepProcessError",
            "the process of step 'killed' was killed by SIGKILL: out of memory, or killed by somebody",
        ),
        "exits": (
            "dagwire.StepProcessError",
            "the process of step 'exits' ended with exit code 3 before the step did; does the op call os._exit()?",
        ),
        "raises": ("ValueError", "no"),
        "unpicklable": (
            "dagwire.ExecutionError",
            accidents.errors["unpicklable"].message,
        ),
    }
    assert "is a lock, which cannot be pickled" in accidents.errors["unpicklable"].message
    assert [(event.step_key, event.reason) for event in accidents.of(StepSkipped)] == [
        ("total", "upstream step 'killed' failed")
    ]
    assert "unhurt" in [event.step_key for event in accidents.of(StepSucceeded)]
    assert isinstance(accidents.ended, RunFailed)
    assert accidents.ended.message == "4 of 10 steps failed: killed, exits, raises, unpicklable"


def test_every_step_is_told_to_start_and_to_end_exactly_once(run):
    accidents = run("accidents").execute()
    started = [event.step_key for event in accidents.of(StepStarted)]
    ended = [event.step_key for event in accidents.events if isinstance(event, StepSucceeded | StepFailed)]
    assert len(started) == len(set(started)) == len(ended) == len(set(ended)) == 9


def test_a_dead_process_is_noticed_although_its_child_holds_its_socket(run):
    bequest = run("bequest").execute()
    (line,) = [line for line in bequest.of(LogWritten) if line.message == "child"]
    os.kill(line.fields["pid"], signal.SIGKILL)
    assert "was killed by SIGKILL" in bequest.errors["killed_with_a_child"].message


def test_logs_and_streams_of_steps_are_told_with_their_step_and_still_reach_the_real_streams(run, capfd):
    talking = run("talking").execute()
    assert {(line.stream, line.message, line.step_key) for line in talking.of(LogWritten)} == {
        ("log", "logged", "talks"),
        ("stdout", "printed", "talks"),
        ("stderr", "shouted", "talks"),
        ("stderr", "imported", None),
    }
    out, err = capfd.readouterr()
    assert "printed\n" in out
    assert "shouted\n" in err


def test_branches_and_fan_in_work_across_processes(run):
    branching = run("branching").execute()
    assert isinstance(branching.ended, RunSucceeded)
    assert [event.step_key for event in branching.of(StepSkipped)] == ["right"]
    assert "total" in [event.step_key for event in branching.of(StepSucceeded)]


def test_libraries_that_have_threads_work_in_step_processes(run):
    assert isinstance(run("querying").execute().ended, RunSucceeded)


def test_job_preset_and_run_config_reach_the_processes(run, tmp_path):
    configuring = run("configuring").execute({"ops": {"third": {"config": {"n": 30}}}}, preset="p")
    assert isinstance(configuring.ended, RunSucceeded)
    assert [path.name for path in tmp_path.glob("*/total/*")] == ["result"]
    planned = configuring.events[0]
    assert {key: value["config"]["n"] for key, value in planned.run_config["ops"].items()} == {
        "first": 10,
        "second": 20,
        "third": 30,
    }


def test_a_resource_that_cannot_be_set_up_fails_the_steps_that_need_it(run):
    unprepared = run("unprepared").execute()
    assert list(unprepared.errors) == ["needs_broken"]
    assert unprepared.errors["needs_broken"].message == (
        "resource 'broken' could not be set up: ConnectionError: no route"
    )
    assert "one" in [event.step_key for event in unprepared.of(StepSucceeded)]


def test_without_a_pointer_the_run_fails_with_a_reason(run):
    chain = run("chain").execute(pointer=None)
    assert isinstance(chain.ended, RunFailed)
    assert chain.ended.cause == "run_error"
    assert "its code must have a pointer" in chain.ended.message


def test_code_that_does_not_load_in_the_step_process_fails_the_step(run, tmp_path):
    gone = POINTER.model_copy(update={"python_file": str(tmp_path / "gone.py")})
    chain = run("chain").execute(pointer=gone)
    assert list(chain.errors) == ["one"]
    assert "gone.py does not exist" in chain.errors["one"].message


# --- cancelling


@pytest.fixture
def cancel():
    """Cancel this process's run as a run worker does: by an exception from a signal handler."""

    def handler(_number, _frame):
        raise RunCancellation("canceled by a test")

    before = signal.signal(signal.SIGUSR1, handler)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def cancel_when_waiting(run, cancel, count):
    """Cancel once so many steps say that they wait."""
    seen = []
    lock = threading.Lock()

    def on_event(event):
        if isinstance(event, LogWritten) and event.message == "waiting":
            with lock:
                seen.append(event)
                if len(seen) == count:
                    cancel()

    run.on_event = on_event
    return run


def gone(pids):
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=30)
    return not alive


def test_cancelling_ends_the_steps_tears_resources_down_and_leaves_no_process(run, cancel):
    waiting = cancel_when_waiting(run("waiting"), cancel, 2).execute()
    assert waiting.ended == RunCanceled(message="canceled by a test", seconds=waiting.ended.seconds)
    assert sorted(waiting.errors) == ["waits", "waits_2"]
    assert {error.type for error in waiting.errors.values()} == {"dagwire.RunCancellation"}
    assert [line.message for line in waiting.of(LogWritten)].count("thing down") == 2
    assert gone(waiting.pids.values())


def test_a_step_that_does_not_want_to_stop_is_killed(run, cancel, monkeypatch):
    monkeypatch.setattr(parallel, "_GRACE_SECONDS", 0.5)
    refusing = cancel_when_waiting(run("refusing"), cancel, 1).execute()
    assert isinstance(refusing.ended, RunCanceled)
    assert "was killed by SIGKILL" in refusing.errors["stubborn"].message
    assert gone(refusing.pids.values())


def test_cancelling_a_run_in_one_process_fails_the_step_and_tears_resources_down(run, cancel):
    waiting = cancel_when_waiting(run("waiting_here"), cancel, 1).execute()
    assert isinstance(waiting.ended, RunCanceled)
    assert waiting.errors["waits"].type == "dagwire.RunCancellation"
    assert "thing down" in [line.message for line in waiting.of(LogWritten)]
    assert list(waiting.pids) == ["waits"]


def test_a_run_in_one_process_captures_what_its_child_processes_write(run, capfd):
    talking = run("talking_here").execute()
    assert {(line.stream, line.message) for line in talking.of(LogWritten)} == {
        ("log", "logged"),
        ("stdout", "printed"),
        ("stderr", "shouted"),
    }
    assert "printed\n" in capfd.readouterr().out


RUNNER = f"""
import os, sys, uuid
from pathlib import Path
from dagwire.code import load
from dagwire.execute import Elsewhere, RunInfo, execute_run
from dagwire_shared.events import LogWritten, StepStarted
from dagwire_shared.records import CodePointer

pointer = CodePointer(python_file={str(USER_CODE)!r}, working_directory="/tmp", executable=sys.executable)
job = load(pointer).job("__repository__", sys.argv[1])

def emit(event):
    if isinstance(event, StepStarted):
        os.write(1, f"pid {{event.pid}}\\n".encode())

execute_run(job, run=RunInfo(str(uuid.uuid4()), job.name, repository="__repository__"), run_config={{}}, preset=None,
            emit=emit, storage_directory=Path(sys.argv[2]), elsewhere=Elsewhere(pointer))
"""


def test_step_processes_end_when_their_run_is_killed(tmp_path):
    command = [sys.executable, "-c", RUNNER, "waiting", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        told = (int(line.split()[1]) for line in runner.stdout if line.startswith("pid "))
        pids = [next(told), next(told)]
        runner.kill()
        assert gone(pids)


def test_a_run_whose_events_cannot_be_told_ends(run):
    def refuse(event):
        if isinstance(event, StepSucceeded):
            raise OSError("the bus is gone")

    chain = run("chain")
    chain.on_event = refuse
    chain.execute()
    assert isinstance(chain.ended, RunFailed)
    assert chain.ended.error is not None
    assert chain.ended.error.message == "the bus is gone"


def test_the_executor_says_how_it_runs_steps(run):
    (note,) = run("chain").execute().of(EngineNoted)
    assert note.message == "steps run in processes of their own"
    assert note.fields == {"max_concurrent": os.cpu_count(), "reuse_processes": True}


def test_a_run_does_not_wait_for_the_grace_of_steps_that_end_at_once(run, cancel):
    started = time.monotonic()
    cancel_when_waiting(run("waiting"), cancel, 2).execute()
    assert time.monotonic() - started < parallel._GRACE_SECONDS
