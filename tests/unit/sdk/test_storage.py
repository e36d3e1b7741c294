"""IO managers: what is kept comes back, and no name leads out of the directory."""

import threading
from pathlib import Path

import pytest
from dagwire import ExecutionError, InputContext, OutputContext, fs_io_manager, job, op
from dagwire.storage import FileSystemIOManager, InMemoryIOManager
from dagwire_shared.errors import InvalidIdentifierError

RUN = "11111111-1111-1111-1111-111111111111"


def output(run=RUN, step="graph.load", name="result"):
    return OutputContext(run, step, name)


def loaded(manager, context):
    return manager.load_input(InputContext(RUN, "next", "x", context))


@pytest.fixture(params=["memory", "files"])
def manager(request, tmp_path):
    return InMemoryIOManager() if request.param == "memory" else FileSystemIOManager(tmp_path)


def test_what_is_kept_comes_back(manager):
    manager.handle_output(output(), {"a": [1, 2]})
    manager.handle_output(output(name="other"), None)
    assert loaded(manager, output()) == {"a": [1, 2]}
    assert loaded(manager, output(name="other")) is None


def test_files_stand_below_run_step_and_output(tmp_path):
    FileSystemIOManager(tmp_path).handle_output(output(), 1)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        f"{RUN}/graph.load/result"
    ]


@pytest.mark.parametrize(
    "context",
    [
        output(run="../../etc"),
        output(step="../escape"),
        output(step="a/b"),
        output(name="../../x"),
        output(name="/etc/passwd"),
        output(name=".hidden"),
    ],
)
def test_a_name_that_is_no_name_becomes_no_path(tmp_path, context):
    manager = FileSystemIOManager(tmp_path / "store")
    with pytest.raises(InvalidIdentifierError):
        manager.handle_output(context, 1)
    with pytest.raises(InvalidIdentifierError):
        loaded(manager, context)
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_cannot_be_pickled_says_what_to_do_and_leaves_nothing(tmp_path):
    manager = FileSystemIOManager(tmp_path)
    with pytest.raises(
        ExecutionError, match=r"output 'result' of step 'graph.load' is a lock, which cannot be pickled"
    ):
        manager.handle_output(output(), threading.Lock())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_value_that_is_gone_is_named(tmp_path):
    with pytest.raises(ExecutionError, match=r"output 'result' of step 'graph\.load' is not in"):
        loaded(FileSystemIOManager(tmp_path), output())


def test_a_job_may_keep_its_outputs_in_a_directory_of_its_own(tmp_path):
    @op
    def number() -> int:
        return 3

    @op
    def show(x: int) -> int:
        return x

    @job(resource_defs={"io_manager": fs_io_manager})
    def j():
        show(number())

    config = {"resources": {"io_manager": {"config": {"base_dir": str(tmp_path)}}}}
    result = j.execute_in_process(config)
    assert result.output_for_node("show") == 3
    assert Path(tmp_path, result.run_id, "number", "result").is_file()
    assert j.execute_in_process().success  # without one, the run's own
