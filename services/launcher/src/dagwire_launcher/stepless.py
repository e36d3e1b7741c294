"""The step backend of a backend that makes no workers for single steps: it refuses each, and says what to use."""

from collections.abc import Callable, Sequence

from dagwire_launcher.backend import WorkerDelay, WorkerEnd
from dagwire_launcher.errors import LaunchRefusedError
from dagwire_launcher.stepname import StepOrder, StepWorker


class Stepless:
    """Makes no step workers: see ``backend.StepBackend``."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    async def create(self, order: StepOrder) -> None:
        """Refuse the order."""
        raise LaunchRefusedError(
            f"Step {order.name.step_key!r} is to run in a pod of its own, and this launcher makes none: its backend is"
            f" {self._backend!r}. Give the job multiprocess_executor or in_process_executor, or run it on Kubernetes."
        )

    async def workers(self) -> Sequence[StepWorker]:
        """Return none."""
        return []

    async def end_of(
        self,
        worker: StepWorker,  # noqa: ARG002 -- there are none
        *,
        delayed: Callable[[WorkerDelay | None], None] | None = None,  # noqa: ARG002 -- as above
    ) -> WorkerEnd:
        """Return at once."""
        return WorkerEnd(reason="There is no such worker.")

    async def output_of(self, worker: StepWorker) -> str:  # noqa: ARG002 -- as above
        """Return nothing."""
        return ""

    async def stop(self, worker: StepWorker, *, force: bool) -> None:
        """Do nothing."""

    async def release(self, worker: StepWorker) -> None:
        """Do nothing."""
