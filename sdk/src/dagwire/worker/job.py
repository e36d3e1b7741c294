"""What a launch order means in this process: the job of the code that is here, and what its run is called."""

from dagwire_shared.commands import LaunchRun
from dagwire_shared.records import CodePointer

from dagwire.code import load
from dagwire.execute import RunInfo
from dagwire.job import JobDefinition
from dagwire.repository import DEFAULT_REPOSITORY


def load_job(order: LaunchRun, pointer: CodePointer) -> JobDefinition:
    """Load the code and return the job that is ordered.

    Raises:
        CodeLoadError: the code does not load, or has no such job.
    """
    request = order.request
    code = load(pointer)
    repository = request.repository
    if repository == DEFAULT_REPOSITORY and len(code.repositories) == 1:
        # Who leaves the repository out means the only one.
        (repository,) = code.repositories
    return code.job(repository, request.job)


def run_info(order: LaunchRun) -> RunInfo:
    """Return the run as user code sees it."""
    request = order.request
    return RunInfo(
        run_id=order.run_id,
        job=request.job,
        location=request.location,
        repository=request.repository,
        tags=request.tags,
        definitions_hash=request.origin.definitions_hash,
        preset=request.preset,
    )
