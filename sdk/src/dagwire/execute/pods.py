"""The Kubernetes executor: each step on a step worker that the crew makes. How that is done is not known here."""

from dagwire_shared.events import EngineNoted

from dagwire.errors import ExecutionError
from dagwire.execute.environment import Environment
from dagwire.execute.parallel import Pace, run_in_parallel
from dagwire.execute.progress import Outcome
from dagwire.execute.stepworker import Crew
from dagwire.executor import KubernetesConfig


def run_in_pods(environment: Environment, crew: Crew) -> dict[str, Outcome]:
    """Execute every step that can run, each on a worker of its own, and return how each ended.

    Raises:
        ExecutionError: ``per_step_k8s_config`` names a step that there is not.
        RunCancellation: the run is to stop; its steps have ended, or are being ended.
    """
    settings = environment.resolved.execution
    if not isinstance(settings, KubernetesConfig):  # pragma: no cover -- the executor's own config type
        raise TypeError(f"the Kubernetes executor cannot be told {settings!r}")
    known = {step.key for step in environment.plan.steps}
    if unknown := sorted(settings.per_step_k8s_config.keys() - known):
        steps = ", ".join(sorted(known))
        raise ExecutionError(
            f"per_step_k8s_config names {unknown[0]!r}, which is no step of this job; its steps: {steps}"
        )
    fields = {"max_concurrent": settings.max_concurrent}
    environment.emit(EngineNoted(message="each step runs in a pod of its own", fields=fields))
    return run_in_parallel(environment, crew(environment), Pace(limit=settings.limit, reuse=False))
