"""One sample of every message type, with every field set: the source of the golden files."""

from datetime import UTC, datetime

from dagwire_shared import commands, events
from dagwire_shared.ids import run_id_for, schedule_id_for
from dagwire_shared.records import CodePointer

AT = datetime(2026, 11, 1, 12, 30, 15, 250000, tzinfo=UTC)
RUN = run_id_for("sample")
SCHEDULE = schedule_id_for("weather", "weather", "daily")

CAUSE = events.ErrorInfo(type="OSError", message="disk full", stack=['File "io.py", line 3, in write'])
ERROR = events.ErrorInfo(type="ValueError", message="bad row", stack=['File "repo.py", line 12, in load'], cause=CAUSE)
METADATA = {
    "rows": events.Metadata(kind="int", value=1461),
    "preview": events.Metadata(kind="md", value="| a |\n|---|\n| 1 |"),
    "link": events.Metadata(kind="url", value="https://example.org/report"),
}
USER = events.RequestedBy(kind="ui", name="ada")
ORIGIN = events.Origin(image="example/weather:1.2.0", definitions_hash="0f" * 32)
OF_SCHEDULE = {"location": "weather", "repository": "weather", "schedule": "daily"}

REQUEST = commands.RequestRun(
    key="sample",
    key_time=AT,
    location="weather",
    repository="weather",
    job="weather_report",
    preset="small",
    run_config={"ops": {"load": {"config": {"limit": 10}}}},
    tags={"team": "climate", "dagwire/priority": "3"},
    requested_by=USER,
    origin=ORIGIN,
)

EVENTS: list[events.Event] = [
    events.RunQueued(
        key="sample",
        location="weather",
        repository="weather",
        job="weather_report",
        preset="small",
        run_config=REQUEST.run_config,
        tags=REQUEST.tags,
        requested_by=USER,
        requested_at=AT,
        origin=ORIGIN,
        priority=3,
    ),
    events.RunLaunched(backend="process", worker="4711"),
    events.RunCanceling(requested_by=USER),
    events.RunDropped(requested_by=USER, forced=True),
    events.RunLost(
        cause=events.FailureCause.WORKER_LOST, message="killed by signal 9", error=ERROR, output="last words\n"
    ),
    events.WorkerDelayed(
        cause=events.FailureCause.IMAGE_UNAVAILABLE,
        message="Image example/weather:1.2.0 cannot be pulled: not found.",
        step_key="load",
    ),
    events.StepWorkerRequested(
        step_key="load",
        attempt=2,
        container_config=[{"resources": {"limits": {"memory": "1Gi"}}}, {"nodeSelector": {"disk": "fast"}}],
    ),
    events.StepWorkerReleased(step_key="load", attempt=2),
    events.StepWorkerEnded(
        step_key="load",
        attempt=2,
        worker="dagwire-step-5f0c",
        cause=events.FailureCause.OUT_OF_MEMORY,
        message="The container used more than its memory limit of 1Gi.",
        output="last words\n",
    ),
    events.RunStarted(worker="c0ffee", host="laptop", pid=4711),
    events.RunPlanned(
        executor="in_process",
        steps=[
            events.PlannedStep(key="load"),
            events.PlannedStep(key="stats.mean", depends_on=["load"]),
        ],
        run_config=REQUEST.run_config,
        definitions_hash="0f" * 32,
    ),
    events.RunSucceeded(seconds=1.5),
    events.RunFailed(cause=events.FailureCause.STEP_FAILED, message="1 step failed: load", error=ERROR, seconds=1.5),
    events.RunCanceled(message="cancelled by ada", seconds=0.5),
    events.StepStarted(step_key="load", pid=4711),
    events.StepSucceeded(step_key="load", seconds=0.25),
    events.StepFailed(step_key="load", error=ERROR, seconds=0.25, cause=events.FailureCause.OUT_OF_MEMORY),
    events.StepSkipped(step_key="stats.mean", reason="upstream step load failed"),
    events.InputLoaded(step_key="stats.mean", input="table", upstream=["load.result"]),
    events.OutputProduced(step_key="load", output="result", metadata=METADATA),
    events.AssetMaterialized(
        step_key="load", asset_key=["weather", "daily"], description="one row a day", metadata=METADATA
    ),
    events.ExpectationChecked(
        step_key="load", label="rows_present", success=True, description="at least one row", metadata=METADATA
    ),
    events.LogWritten(
        level=events.LogLevel.WARNING,
        message="2 rows dropped",
        stream="log",
        logger="etl.clean",
        step_key="load",
        fields={"rows": 2},
    ),
    events.EngineNoted(
        level=events.LogLevel.INFO, message="resource db is ready", step_key="load", fields={"seconds": 0.1}
    ),
    events.TickRequested(**OF_SCHEDULE, nominal_time=AT, run_ids=[RUN]),
    events.TickSkipped(**OF_SCHEDULE, nominal_time=AT, reason="holiday", missed=False),
    events.TickFailed(**OF_SCHEDULE, nominal_time=AT, error=ERROR),
    events.ScheduleSwitched(**OF_SCHEDULE, status="stopped", by="ada"),
]

COMMANDS: list[commands.Command] = [
    REQUEST,
    commands.LaunchRun(
        run_id=RUN,
        request=REQUEST,
        priority=3,
        code=commands.RunCode(
            image="team/etl:7",
            pointer=CodePointer(python_file="/app/repo.py", working_directory="/app", executable="/usr/bin/python3"),
            container_context={"k8s": {"serviceAccountName": "etl"}},
            container_config={"resources": {"limits": {"memory": "1Gi"}}},
        ),
    ),
    commands.CancelRun(run_id=RUN, requested_by=USER),
]
