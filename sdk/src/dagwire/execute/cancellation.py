"""How a run is told to stop."""


class RunCancellation(BaseException):
    """Raised in the main thread to stop the run; not an ``Exception``, so that user code does not swallow it."""
