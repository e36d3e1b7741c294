"""Jobs that the browser tests click through. Copied beside a folder in which a test opens the gate."""

import time
from pathlib import Path
from typing import Literal

from dagwire import (
    AssetMaterialization,
    Config,
    MetadataValue,
    OpExecutionContext,
    Preset,
    RunRequest,
    job,
    op,
    repository,
    schedule,
)
from pydantic import Field

GATE = Path(__file__).parent / "open"


class City(Config):
    """Which city."""

    city: Literal["Rome", "Oslo"]
    days: int = Field(default=3, ge=1, le=31, description="How many days.")


class Lines(Config):
    count: int = 1


@op
def load(context: OpExecutionContext, config: City) -> list[int]:
    """Read the days of one **city**."""
    context.log.info("loading %s", config.city)
    return list(range(config.days))


@op
def wait_at_gate(context: OpExecutionContext, days: list[int]) -> list[int]:
    context.log.warning("waiting at the gate")
    while not GATE.exists():
        time.sleep(0.02)
    return days


@op
def warmest(days: list[int]) -> int:
    return max(days)


@op
def report(context: OpExecutionContext, days: list[int], warmest: int) -> None:
    rows = [{"day": day, "warm": day == warmest} for day in days]
    notes = MetadataValue.md("# Notes\n\n<script>window.broken = true</script>\n\n**done**")
    metadata = {"table": MetadataValue.table(rows), "notes": notes, "source": MetadataValue.url("https://example.org/")}
    context.log_event(AssetMaterialization("forecast", description="The forecast.", metadata=metadata))


@job(presets=[Preset("rome", run_config={"ops": {"load": {"config": {"city": "Rome"}}}}, description="Three days.")])
def forecast():
    """Forecast the weather of one city."""
    days = wait_at_gate(load())
    report(days, warmest(days))


@op
def write_lines(context: OpExecutionContext, config: Lines) -> None:
    for number in range(config.count):
        context.log.info("line %d of %d", number + 1, config.count)


@job
def chatty():
    write_lines()


@op
def divide() -> float:
    try:
        return 1 / 0
    except ZeroDivisionError as error:
        raise ValueError("the divisor must not be zero") from error


@op
def show(context: OpExecutionContext, value: float) -> None:
    context.log.info("%f", value)


@job
def failing():
    show(divide())


@schedule("* * * * * *", job=chatty, execution_timezone="UTC")
def every_second(_context):
    return RunRequest(tags={"asked": "by the clock"})


@repository
def browser():
    return [forecast, chatty, failing, every_second]
