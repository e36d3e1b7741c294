"""The projections' way to and from PostgreSQL: loads what a batch speaks of, applies its facts, writes what changed.

Which state follows from an event is decided in ``projections``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, TypeVar, assert_never
from uuid import UUID

import asyncpg
from dagwire_shared.events import (
    AssetMaterialized,
    EngineNoted,
    ExpectationChecked,
    InputLoaded,
    LogWritten,
    OutputProduced,
    RunCanceled,
    RunCanceling,
    RunDropped,
    RunFailed,
    RunLaunched,
    RunLost,
    RunPlanned,
    RunQueued,
    RunStarted,
    RunSucceeded,
    ScheduleSwitched,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepWorkerEnded,
    StepWorkerReleased,
    StepWorkerRequested,
    TickFailed,
    TickRequested,
    TickSkipped,
    WorkerDelayed,
)
from pydantic_core import from_json, to_json

from dagwire_eventstore import queries
from dagwire_eventstore.batch import Fact
from dagwire_eventstore.projections import (
    Asset,
    Run,
    Step,
    Tick,
    apply_asset,
    apply_run,
    apply_step,
    apply_tick,
    plan_step,
    settle_step,
)

_JSON_COLUMNS: Final = frozenset(
    {"run_config", "tags", "requested_by", "origin", "error", "resolved_config", "decided", "depends_on", "run_ids"}
)
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""The escaped NUL character, which JSON knows and PostgreSQL's text does not."""

_State = TypeVar("_State", Run, Step, Tick)


class Views:
    """The states that one batch speaks of: load, apply each fact, save. Used once."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.steps: dict[tuple[str, str], Step] = {}
        self.ticks: dict[tuple[str, datetime], Tick] = {}
        self.assets: dict[tuple[str, ...], Asset] = {}
        self._before: dict[Any, Run | Step | Tick] = {}

    async def load(self, connection: asyncpg.Connection, facts: Sequence[Fact]) -> None:
        """Read the states that ``facts`` speak of, as they are now."""
        wanted = _wanted(facts)
        if wanted.runs:
            found = await connection.fetch(queries.READ_RUNS, list(wanted.runs))
            self.runs = {run.run_id: run for run in _read(found, Run)}
        if wanted.steps:
            self._keep(await connection.fetch(queries.READ_STEPS, *zip(*wanted.steps, strict=True)))
        if wanted.ending:
            self._keep(await connection.fetch(queries.READ_OPEN_STEPS, list(wanted.ending)))
        if wanted.ticks:
            found = await connection.fetch(queries.READ_TICKS, *zip(*wanted.ticks, strict=True))
            self.ticks = {(tick.schedule_id, tick.nominal_time): tick for tick in _read(found, Tick)}
        for states in (self.runs, self.steps, self.ticks):
            self._before.update(states)

    def _keep(self, records: Iterable[asyncpg.Record]) -> None:
        self.steps.update({(step.run_id, step.step_key): step for step in _read(records, Step)})

    def apply(self, fact: Fact) -> None:
        """Let one fact change the states."""
        run_id, event = fact.aggregate, fact.event
        match event:
            case RunQueued() | RunLaunched() | RunStarted() | RunCanceling():
                self.runs[run_id] = apply_run(self.runs.get(run_id), fact, event)
            case RunPlanned():
                self.runs[run_id] = apply_run(self.runs.get(run_id), fact, event)
                for position, planned in enumerate(event.steps):
                    key = (run_id, planned.key)
                    ended = self._has_ended(run_id)
                    self.steps[key] = plan_step(self.steps.get(key), fact, position, event, run_ended=ended)
            case RunSucceeded() | RunFailed() | RunCanceled() | RunLost() | RunDropped():
                self.runs[run_id] = apply_run(self.runs.get(run_id), fact, event)
                self._settle_steps(run_id)
            case StepStarted() | StepSucceeded() | StepFailed() | StepSkipped():
                key = (run_id, event.step_key)
                ended = self._has_ended(run_id)
                self.steps[key] = apply_step(self.steps.get(key), fact, event, run_ended=ended)
            case TickRequested() | TickSkipped() | TickFailed():
                tick = (fact.aggregate, event.nominal_time)
                self.ticks[tick] = apply_tick(self.ticks.get(tick), fact, event)
            case AssetMaterialized():
                asset = tuple(event.asset_key)
                self.assets[asset] = apply_asset(self.assets.get(asset), fact, event)
            case (InputLoaded() | OutputProduced() | ExpectationChecked() | LogWritten() | EngineNoted()) | (
                WorkerDelayed() | StepWorkerRequested() | StepWorkerReleased() | StepWorkerEnded()
            ):
                pass  # read from ``events`` itself
            case ScheduleSwitched():
                pass  # the state bucket says how a schedule is switched
            case _:
                assert_never(event)

    def _has_ended(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        return run is not None and run.ended

    def _settle_steps(self, run_id: str) -> None:
        for key, step in self.steps.items():
            if step.run_id == run_id:
                self.steps[key] = settle_step(step, run_ended=True)

    async def save(self, connection: asyncpg.Connection) -> None:
        """Write the states that changed."""
        await self._write(connection, queries.WRITE_RUNS, self.runs)
        await self._write(connection, queries.WRITE_STEPS, self.steps)
        await self._write(connection, queries.WRITE_TICKS, self.ticks)
        # In one order everywhere, so that transactions of several shards wait for each other, never in a circle.
        await self._write(connection, queries.WRITE_ASSETS, dict(sorted(self.assets.items())))

    async def _write(
        self, connection: asyncpg.Connection, query: str, states: Mapping[Any, Run | Step | Tick | Asset]
    ) -> None:
        changed = [_columns(state) for key, state in states.items() if self._before.get(key) != state]
        if changed:
            await connection.execute(query, _NUL.sub(rb"\1\\ufffd", to_json(changed, inf_nan_mode="null")).decode())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The keys of the states that some facts speak of."""

    runs: set[str] = field(default_factory=set)
    steps: set[tuple[str, str]] = field(default_factory=set)
    ending: set[str] = field(default_factory=set)
    ticks: set[tuple[str, datetime]] = field(default_factory=set)


def _wanted(facts: Iterable[Fact]) -> _Wanted:
    wanted = _Wanted()
    for fact in facts:
        match fact.event:
            case TickRequested() | TickSkipped() | TickFailed() as event:
                wanted.ticks.add((fact.aggregate, event.nominal_time))
                continue
            case AssetMaterialized() | ScheduleSwitched():
                continue
            case StepStarted() | StepSucceeded() | StepFailed() | StepSkipped() as event:
                wanted.steps.add((fact.aggregate, event.step_key))
            case RunPlanned() as event:
                wanted.steps.update((fact.aggregate, planned.key) for planned in event.steps)
            case RunSucceeded() | RunFailed() | RunCanceled() | RunLost() | RunDropped():
                wanted.ending.add(fact.aggregate)
        wanted.runs.add(fact.aggregate)
    return wanted


def _read(records: Iterable[asyncpg.Record], state: type[_State]) -> Iterator[_State]:
    for record in records:
        yield state(**{name: _value(name, value) for name, value in record.items()})


def _value(name: str, value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return from_json(value) if value is not None and name in _JSON_COLUMNS else value


def _columns(state: Run | Step | Tick | Asset) -> dict[str, Any]:
    return {column.name: getattr(state, column.name) for column in fields(state)}
