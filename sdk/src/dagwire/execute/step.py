"""Executes one step in this process: loads its inputs, calls its op, keeps its outputs, and says so as events."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import Logger
from typing import Any

from dagwire_shared.events import (
    AssetMaterialized,
    Event,
    ExpectationChecked,
    InputLoaded,
    LogLevel,
    LogWritten,
    OutputProduced,
    StepFailed,
    StepStarted,
    StepSucceeded,
)

from dagwire.annotations import Nothing, fits, type_name
from dagwire.config.model import config_value
from dagwire.context import OpExecutionContext, namespace
from dagwire.errors import ExecutionError, OutputMissingError, TypeCheckError, error_info
from dagwire.execute.calls import outputs_and_events
from dagwire.execute.cancellation import RunCancellation
from dagwire.execute.environment import Environment
from dagwire.execute.progress import Outcome
from dagwire.metadata import normalize_metadata, shown_text
from dagwire.plan import FromConfig, FromDefault, FromOutput, FromOutputs, InputSource, Step
from dagwire.ports import MISSING
from dagwire.results import AssetMaterialization, Failure, OpEvent, Output
from dagwire.storage import InputContext, IOManager, OutputContext


@dataclass
class StepExecution:
    """One step being executed."""

    step: Step
    environment: Environment
    resources: Mapping[str, Any]
    log: Logger
    available: Callable[[FromOutput], bool]
    """Says which outputs of other steps exist."""
    settle: Callable[[], None] = lambda: None
    """Is called before the step's end is told: what it wrote is to come first."""
    produced: set[str] = field(default_factory=set)
    raised: BaseException | None = None
    """What made it fail, for callers in the same process."""

    def execute(self) -> Outcome:
        """Execute the step and return how it ended.

        Raises:
            RunCancellation: the run is to stop; the step is told to have failed by it.
        """
        started = time.monotonic()
        self._emit(StepStarted(step_key=self.step.key, pid=os.getpid()))
        try:
            self._run()
            self.settle()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.raised = error
            self._failed(error, time.monotonic() - started)
            if isinstance(error, RunCancellation):
                raise
            return Outcome("failed", frozenset(self.produced), failed_by=self.step.key, error=error_info(error))
        self._emit(StepSucceeded(step_key=self.step.key, seconds=time.monotonic() - started))
        return Outcome("succeeded", frozenset(self.produced))

    def _failed(self, error: BaseException, seconds: float) -> None:
        if isinstance(error, Failure) and error.metadata:
            fields = {label: one.value for label, one in normalize_metadata(error.metadata).items()}
            message = shown_text(str(error))
            self._emit(LogWritten(level=LogLevel.ERROR, message=message, step_key=self.step.key, fields=fields))
        self.settle()
        self._emit(StepFailed(step_key=self.step.key, error=error_info(error), seconds=seconds))

    def _run(self) -> None:
        op = self.step.op
        inputs = {name: self._load(name, source) for name, source in self.step.inputs.items()}
        arguments = {name: inputs[name] for name in op.signature.inputs}
        config = config_value(op.config_schema, self.environment.resolved.ops.get(self.step.path))
        context = self._context(config)
        if op.signature.context is not None:
            arguments[op.signature.context] = context
        if op.signature.config is not MISSING:
            arguments["config"] = config
        arguments |= {parameter: self.resources[key] for parameter, key in op.signature.resources.items()}
        for item in outputs_and_events(op, arguments):
            if isinstance(item, Output):
                self._keep(item, context)
            else:
                self._record(item)

    def _context(self, config: Any) -> OpExecutionContext:
        op = self.step.op
        return OpExecutionContext(
            op=op,
            step_key=self.step.key,
            run=self.environment.run,
            op_config=config,
            resources=namespace(self.resources, op.required_resource_keys, f"op {op.name!r}"),
            log=self.log,
            record=self._record,
        )

    def _load(self, name: str, source: InputSource) -> Any:
        declared = self.step.op.ins[name]
        if declared.annotation is Nothing:
            return None
        value, upstream = self._value(name, source)
        if not fits(value, declared.annotation):
            raise TypeCheckError(
                f"input {name!r} of op {self.step.op.name!r} is a {type(value).__name__}, "
                f"but its annotation says {type_name(declared.annotation)}"
            )
        self._emit(InputLoaded(step_key=self.step.key, input=name, upstream=upstream))
        return value

    def _value(self, name: str, source: InputSource) -> tuple[Any, list[str]]:
        match source:
            case FromOutput():
                return self._load_output(name, source), [_spell(source)]
            case FromOutputs(sources):
                present = [one for one in sources if not isinstance(one, FromOutput) or self.available(one)]
                values = [self._value(name, one)[0] for one in present]
                return values, [_spell(one) for one in present if isinstance(one, FromOutput)]
            case FromConfig(key):
                return self._given(key), []
            case FromDefault(value):
                return (self.step.op.ins[name].default_value if value is MISSING else value), []

    def _given(self, key: tuple[tuple[str, ...], str]) -> Any:
        path, name = key
        if not path and name in self.environment.job.input_values:
            return self.environment.job.input_values[name]
        return self.environment.resolved.inputs[key]

    def _load_output(self, name: str, source: FromOutput) -> Any:
        upstream = self.environment.plan.step(source.step)
        out = upstream.op.outs[source.output]
        if out.annotation is Nothing:
            return None
        context = InputContext(
            run_id=self.environment.run.run_id,
            step_key=self.step.key,
            name=name,
            upstream_output=OutputContext(
                self.environment.run.run_id, source.step, source.output, out.annotation, out.metadata
            ),
            annotation=self.step.op.ins[name].annotation,
            metadata=self.step.op.ins[name].metadata,
        )
        try:
            return self._manager(out.io_manager_key).load_input(context)
        except OutputMissingError as error:
            advice = self.environment.job.executor_def.storage_advice
            raise OutputMissingError(f"{error} {advice}".rstrip()) from error

    def _manager(self, key: str) -> IOManager:
        manager = self.resources[key]
        if not isinstance(manager, IOManager):
            raise ExecutionError(f"resource {key!r} keeps outputs, but it is a {type(manager).__name__}, no IOManager")
        return manager

    def _keep(self, output: Output[Any], context: OpExecutionContext) -> None:
        name = output.output_name or "result"
        out = self.step.op.outs[name]
        if not fits(output.value, out.annotation):
            raise TypeCheckError(
                f"output {name!r} of op {self.step.op.name!r} is a {type(output.value).__name__}, "
                f"but its annotation says {type_name(out.annotation)}"
            )
        metadata = normalize_metadata({**context.get_output_metadata(name), **output.metadata})
        if out.annotation is not Nothing:
            self._manager(out.io_manager_key).handle_output(
                OutputContext(self.environment.run.run_id, self.step.key, name, out.annotation, out.metadata),
                output.value,
            )
        if self.environment.keep is not None:
            self.environment.keep(self.step.key, name, output.value)
        self.produced.add(name)
        self._emit(OutputProduced(step_key=self.step.key, output=name, metadata=metadata))

    def _record(self, event: OpEvent) -> None:
        metadata = normalize_metadata(event.metadata)
        description = event.description or ""
        key = self.step.key
        if isinstance(event, AssetMaterialization):
            path = list(event.key.path)
            self._emit(AssetMaterialized(step_key=key, asset_key=path, description=description, metadata=metadata))
            return
        self._emit(
            ExpectationChecked(
                step_key=key,
                label=event.label or "expectation",
                success=event.success,
                description=description,
                metadata=metadata,
            )
        )

    def _emit(self, event: Event) -> None:
        self.environment.emit(event)


def _spell(source: FromOutput) -> str:
    return f"{source.step}.{source.output}"
