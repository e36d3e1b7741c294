"""The questions that run user code: does a config fit, which steps, what does a schedule want. Called in a thread."""

from datetime import UTC

from dagwire_protos.codeserver.v1 import code_server_pb2 as pb

from dagwire.code import Code, describe_exception
from dagwire.codeserver import answers
from dagwire.codeserver.snapshot import to_json
from dagwire.config.layout import ResolvedConfig
from dagwire.errors import ConfigFault, DefinitionError, InvalidConfigError
from dagwire.job import JobDefinition
from dagwire.schedule import RunRequest, ScheduleEvaluationContext, SkipReason


def validate(code: Code, request: pb.ValidateRunConfigRequest) -> pb.ValidateRunConfigResponse:
    """Say whether a run config fits, and each place where it does not.

    Raises:
        DefinitionNotFoundError: there is no such job.
        BadRequestError: the config is no JSON object.
    """
    job = code.job(request.repository, request.job)
    given = answers.run_config(request.run_config_json)
    preset = request.preset if request.HasField("preset") else None
    if preset is not None and preset not in job.presets:
        fault = ConfigFault(("preset",), _unknown_preset(job, preset))
        return pb.ValidateRunConfigResponse(errors=[answers.config_error(fault)], run_config_json=to_json(given))
    try:
        resolved = job.resolve_config(given, preset=preset)
    except InvalidConfigError as error:
        merged = to_json(job.merged_config(given, preset))
        faults = [answers.config_error(fault) for fault in error.faults]
        return pb.ValidateRunConfigResponse(errors=faults, run_config_json=merged)
    except Exception as error:  # noqa: BLE001 -- a validator of the user's own raised something else
        fault = ConfigFault((), f"checking it raised {type(error).__name__}: {error}")
        return pb.ValidateRunConfigResponse(errors=[answers.config_error(fault)], run_config_json=to_json(given))
    return pb.ValidateRunConfigResponse(run_config_json=to_json(resolved.run_config))


def plan(code: Code, request: pb.GetExecutionPlanRequest) -> pb.ExecutionPlan:
    """Return the steps that a run would execute.

    Raises:
        DefinitionNotFoundError: there is no such job.
        BadRequestError: the config is no JSON object, or does not fit; or there is no such preset.
    """
    job = code.job(request.repository, request.job)
    steps = job.plan(_resolved(job, request)).steps
    return pb.ExecutionPlan(steps=[pb.Step(key=step.key, depends_on=step.depends_on) for step in steps])


def evaluate(code: Code, request: pb.EvaluateScheduleRequest) -> pb.EvaluateScheduleResponse:
    """Return what a schedule wants at a tick; what its function raised is in the answer.

    Raises:
        DefinitionNotFoundError: there is no such schedule.
    """
    schedule = code.schedule(request.repository, request.schedule)
    moment = request.scheduled_time.ToDatetime(tzinfo=UTC)
    try:
        asked = schedule.evaluate(ScheduleEvaluationContext(moment, repository_name=request.repository))
        if isinstance(asked, SkipReason):
            return pb.EvaluateScheduleResponse(skip_reason=asked.skip_message or "the schedule gave no reason")
        requests = [_run_request(code, request, one) for one in asked]
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- user code may raise anything, and it is the answer
        return pb.EvaluateScheduleResponse(error=answers.error(describe_exception(error)))
    return pb.EvaluateScheduleResponse(run_requests=requests)


def _run_request(code: Code, request: pb.EvaluateScheduleRequest, asked: RunRequest) -> pb.RunRequest:
    name = asked.job_name or code.schedule(request.repository, request.schedule).job_name
    job = code.job(request.repository, name)
    if asked.preset is not None and asked.preset not in job.presets:
        raise DefinitionError(_unknown_preset(job, asked.preset))
    return pb.RunRequest(
        run_key=asked.run_key,
        job=name,
        preset=asked.preset,
        run_config_json=to_json(asked.run_config),
        tags=asked.tags,
    )


def _resolved(job: JobDefinition, request: pb.GetExecutionPlanRequest) -> ResolvedConfig:
    preset = request.preset if request.HasField("preset") else None
    if preset is not None and preset not in job.presets:
        raise answers.BadRequestError(_unknown_preset(job, preset))
    try:
        return job.resolve_config(answers.run_config(request.run_config_json), preset=preset)
    except InvalidConfigError as error:
        raise answers.BadRequestError(str(error)) from error


def _unknown_preset(job: JobDefinition, preset: str) -> str:
    known = ", ".join(repr(name) for name in job.presets) or "none"
    return f"job {job.name!r} has no preset {preset!r}; it has {known}"
