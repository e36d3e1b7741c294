"""Jobs that the end-to-end tests run."""

import time
from pathlib import Path

from dagwire import Config, job, op, repository, schedule


class Lines(Config):
    count: int = 100


@op
def begin(context, config: Lines) -> int:
    for number in range(config.count):
        context.log.info("line %d", number)
    return config.count


@op
def double(count: int) -> int:
    return 2 * count


@job
def chatty():
    double(begin())


class Gate(Config):
    directory: str


@op
def wait_at_gate(context, config: Gate) -> str:
    """Say that it waits, then wait until the test opens the gate, logging all the while."""
    gate = Path(config.directory)
    (gate / "waiting").touch()
    number = 0
    while not (gate / "open").exists():
        context.log.info("waiting %d", number)
        number += 1
        time.sleep(0.02)
    return "opened"


@job
def gated():
    wait_at_gate()


@schedule(cron_schedule="* * * * * *", job=chatty, execution_timezone="UTC")
def every_second(context):
    return {}


@repository
def e2e():
    return [chatty, gated, every_second]
