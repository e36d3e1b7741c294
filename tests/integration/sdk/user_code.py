"""Jobs whose steps run in processes of their own; loaded by its path, as user code is."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from dagwire import Config, Out, Output, Preset, job, multiprocess_executor, op, resource

print("imported", file=sys.stderr)  # noqa: T201

# Threads exist from here on: a process that is forked from one that did this hangs at its next query.
TABLE = pl.DataFrame({"key": [1, 2, 1], "value": [1, 2, 3]}).group_by("key").agg(pl.col("value").sum())


@op
def one() -> int:
    return 1


@op
def increment(x: int) -> int:
    return x + 1


@op
def where(after: int = 0) -> int:
    return os.getpid()


@op
def total(xs: list[int]) -> int:
    return sum(xs)


@op
def query() -> int:
    return int(TABLE.group_by("key").agg(pl.col("value").max())["value"].sum())


class Meeting(Config):
    folder: str
    name: str
    other: str


@op
def meet(config: Meeting) -> str:
    """Wait for another op to be here at the same time."""
    folder = Path(config.folder)
    (folder / config.name).touch()
    deadline = time.monotonic() + 60
    while not (folder / config.other).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{config.other} never came")
        time.sleep(0.01)
    return config.name


@op
def killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@op
def exits() -> int:
    os._exit(3)


@op
def killed_with_a_child(context) -> int:
    """Die while a forked child still holds everything that was open."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    context.log.info("child", extra={"pid": child})
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@op
def raises() -> int:
    raise ValueError("no")


@op
def talks(context) -> int:
    context.log.info("logged", extra={"n": 1})
    print("printed")  # noqa: T201 -- that is what is tested
    os.system("echo shouted >&2")  # noqa: S605
    return 1


@op
def unpicklable() -> object:
    return threading.Lock()


@op(out={"left": Out(int, is_required=False), "right": Out(int, is_required=False)})
def branch() -> Iterator[Output[int]]:
    yield Output(1, "left")


@resource
def thing() -> Iterator[str]:
    print("thing up")  # noqa: T201
    yield "thing"
    print("thing down")  # noqa: T201


@op(required_resource_keys={"thing"})
def waits(context) -> None:
    context.log.info("waiting")
    time.sleep(120)


@op
def stubborn(context) -> None:
    context.log.info("waiting")
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(120)


@resource
def broken() -> str:
    raise ConnectionError("no route")


@op(required_resource_keys={"broken"})
def needs_broken() -> None: ...


@job(executor_def=multiprocess_executor)
def chain():
    increment(increment(increment(one())))


@job(executor_def=multiprocess_executor)
def places():
    where.alias("c")(where.alias("b")(where.alias("a")()))


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def meeting():
    meet.alias("a")()
    meet.alias("b")()


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 1}))
def accidents():
    total([one.alias("before")(), killed()])
    exits()
    raises()
    unpicklable()
    total.alias("unhurt")([one(), increment(one.alias("first")())])


@job(executor_def=multiprocess_executor)
def bequest():
    increment(killed_with_a_child())


@job(executor_def=multiprocess_executor)
def talking():
    talks()


@job(executor_def=multiprocess_executor)
def branching():
    parts = branch()
    total([increment.alias("left")(parts.left), increment.alias("right")(parts.right)])


@job(executor_def=multiprocess_executor)
def querying():
    total([query(), query()])


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}), resource_defs={"thing": thing})
def waiting():
    waits()
    waits()
    waits()


@job(executor_def=multiprocess_executor)
def refusing():
    stubborn()


@job(executor_def=multiprocess_executor, resource_defs={"broken": broken})
def unprepared():
    needs_broken()
    one()


class Number(Config):
    n: int = 1


@op
def configured(config: Number) -> int:
    return config.n


@job(
    executor_def=multiprocess_executor,
    config={"ops": {"first": {"config": {"n": 10}}}},
    presets=[Preset("p", run_config={"ops": {"second": {"config": {"n": 20}}}})],
)
def configuring():
    total([configured.alias("first")(), configured.alias("second")(), configured.alias("third")()])


@job(resource_defs={"thing": thing})
def waiting_here():
    waits()
    one()


@job
def talking_here():
    talks()
