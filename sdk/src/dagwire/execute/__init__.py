"""Execution: runs a job's steps and says what happens as events. It knows no bus and no server."""

from dagwire.context import RunInfo
from dagwire.execute.cancellation import RunCancellation
from dagwire.execute.run import Elsewhere, execute_run

__all__ = ["Elsewhere", "RunCancellation", "RunInfo", "execute_run"]
