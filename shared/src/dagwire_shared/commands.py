"""The commands of the bus: what somebody asks for. Enveloped like events; each has one handler, the launcher."""

from typing import ClassVar, Final, get_args

from pydantic import Field

from dagwire_shared.events.values import Origin, RequestedBy
from dagwire_shared.ids import IdempotencyKey, LocationName, Name, RunIdField, Tags
from dagwire_shared.model import Json, Model, Utc
from dagwire_shared.records import CodePointer


class RequestRun(Model):
    """Ask for one run. The subject is ``dagwire.v1.request.<first 32 hex digits of SHA-256(key)>``.

    The same key is accepted once, for ever; the run's id is the UUIDv5 of the key in the run namespace.
    """

    TYPE: ClassVar[str] = "dagwire.command.request_run"

    key: IdempotencyKey
    key_time: Utc
    """When the key was made: a tick's nominal time, or the client's clock. Tells an old key from a new one."""
    location: LocationName
    repository: Name = "__repository__"
    job: Name
    preset: Name | None = None
    run_config: Json = Field(default_factory=dict)
    tags: Tags = Field(default_factory=dict)
    requested_by: RequestedBy = RequestedBy(kind="bus")
    origin: Origin = Origin()
    """Leave it out: the launcher fills in what the code location reports."""


class RunCode(Model):
    """Which code a run executes, and what that code wants its pods to be like: as served when the run was admitted."""

    image: str | None = None
    pointer: CodePointer
    container_context: Json = Field(default_factory=dict)
    """What the code location says: ``{"k8s": {…}}``."""
    container_config: Json = Field(default_factory=dict)
    """What the job says."""


class LaunchRun(Model):
    """What waits on the queue: everything that a run worker is given. Written by the launcher alone."""

    TYPE: ClassVar[str] = "dagwire.command.launch_run"

    run_id: RunIdField
    request: RequestRun
    priority: int = 0
    code: RunCode | None = None
    """None: written by a launcher that did not fill it in; what the code location serves now counts."""


class CancelRun(Model):
    """Ask that a run ends. Its subject is ``dagwire.v1.control.<run id>``."""

    TYPE: ClassVar[str] = "dagwire.command.cancel_run"

    run_id: RunIdField
    requested_by: RequestedBy = RequestedBy(kind="bus")


Command = RequestRun | LaunchRun | CancelRun

COMMAND_TYPES: Final[dict[str, type[Command]]] = {cls.TYPE: cls for cls in get_args(Command)}
"""Every command class by its CloudEvents type."""
