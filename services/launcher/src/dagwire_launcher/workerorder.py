"""Makes the order of a worker from the launch message of its run: at its launch, and again for its steps. No I/O."""

from dagwire_shared.commands import LaunchRun, RunCode
from dagwire_shared.envelope import decode
from dagwire_shared.errors import MalformedMessageError

from dagwire_launcher.backend import WorkerOrder
from dagwire_launcher.errors import LaunchRefusedError


def worker_order(launch: LaunchRun, message: bytes, code: RunCode) -> WorkerOrder:
    """Return what the worker of a run is created from.

    Args:
        launch: what was launched.
        message: the same, as it stands on the queue.
        code: the code that is run.
    """
    request = launch.request
    return WorkerOrder(
        run_id=launch.run_id,
        job=request.job,
        location=request.location,
        message=message,
        code=code,
    )


def order_again(message: bytes) -> WorkerOrder:
    """Return what the worker of a run was created from.

    Raises:
        LaunchRefusedError: the message is not readable, or does not say which code is run.
    """
    try:
        launch = decode(message).command
    except MalformedMessageError as error:
        raise LaunchRefusedError(f"What the run was launched with is not readable: {error}") from error
    if not isinstance(launch, LaunchRun) or launch.code is None:
        raise LaunchRefusedError(
            "The run was admitted by an older launcher, which did not note its code: request it again."
        )
    return worker_order(launch, message, launch.code)
