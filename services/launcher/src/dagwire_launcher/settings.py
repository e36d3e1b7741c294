"""The launcher's settings: environment variables that begin with ``DAGWIRE_LAUNCHER_``."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from dagwire_shared.addresses import nats_address
from dagwire_shared.settings import BusSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from dagwire_launcher.callout import CalloutSettings
from dagwire_launcher.credentials import WorkerCredentials
from dagwire_launcher.endings import Limits
from dagwire_launcher.secret import MIN_LENGTH, CredentialSecret


class Settings(BusSettings):
    """What the launcher needs to know."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_LAUNCHER_")

    nats_url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    """The NATS server, or several joined by commas: ``nats://host:port``; may hold credentials."""

    worker_nats_url: SecretStr | None = None
    """The NATS server as run workers reach it; may hold their credential. Unset: the launcher's own, with its."""

    worker_nats_user: str | None = None
    """The user that run workers connect to NATS as, if they share one, in place of their address's."""

    worker_nats_password: SecretStr | None = None
    """The password of the run workers' user, as it is: any characters."""

    credential_secret: SecretStr | None = Field(default=None, min_length=MIN_LENGTH)
    """What each run's own credential is derived from, the same for all launchers; unset: workers share one."""

    previous_credential_secret: SecretStr | None = Field(default=None, min_length=MIN_LENGTH)
    """The secret before the current one: while it stands here, workers that were created under it stay on the bus."""

    credential_seconds: float = Field(default=600, ge=1)
    """How long a worker's connection lasts before its credential is looked at again, in seconds."""

    backend: Literal["process", "docker", "kubernetes"] = "process"
    """Where run workers live: each is a ``process`` of this machine, a ``docker`` container or a ``kubernetes`` Job."""

    instance: str = Field(default="dagwire", pattern=r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$")
    """What this installation is called: its launchers share what bears its name in an engine or cluster."""

    run_config: Path | None = None
    """The run-config file: what the operator lays down for the containers of runs."""

    namespace: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    """Kubernetes backend: the namespace of run Jobs; unset: the launcher's own, or that of the kubeconfig's context."""

    directory: Path = Path(".dagwire/runs")
    """Where the launcher keeps its name, and with the process backend each run a directory for its launch message, its
    output and its files. It must be writable; in a pod /tmp does."""

    docker_host: str | None = None
    """Docker backend: the engine's address; unset: ``DOCKER_HOST``, or ``unix:///var/run/docker.sock``."""

    docker_network: str = "bridge"
    """Docker backend: the network of run containers, on which they reach the bus."""

    max_concurrent_runs: int = Field(default=10, ge=0)
    """How many runs may have a worker at the same time; the others wait in the queue. 0 holds all of them."""

    launches_at_once: int | None = Field(default=None, ge=1, le=80)
    """How many workers are being created at the same time; unset: 20 on Kubernetes, else 4."""

    start_timeout_seconds: float = Field(default=300, gt=0)
    """How long a worker may take from its creation to its first event, in seconds; then its run is lost."""

    cancel_grace_seconds: float = Field(default=30, ge=0)
    """How long a worker may take to end a canceled run by itself, in seconds; then it gets a SIGTERM."""

    stop_grace_seconds: float = Field(default=10, ge=0)
    """How long a worker may take to end after a SIGTERM, in seconds; then it is killed."""

    leave_grace_seconds: float = Field(default=60, ge=0)
    """How long a worker's process may live on after its run has ended, in seconds; then it is killed."""

    location_patience_seconds: float = Field(default=20, ge=0)
    """How long a request waits for its code location to load, in seconds; then its run is lost."""

    sweep_seconds: float = Field(default=60, gt=0)
    """How often open runs are looked at whose worker nobody watches, in seconds; if it is gone, the run is lost."""

    output_bytes: int = Field(default=1024 * 1024, ge=4096)
    """Process and Docker backend: how much of a worker's output is kept, in bytes; older lines go."""

    keep_runs: int = Field(default=1000, ge=0)
    """How many directories, containers or finished Jobs of ended runs are kept; older ones are removed."""

    keep_days: float = Field(default=7, ge=0)
    """For how many days the directory, container or finished Job of an ended run is kept."""

    end_workers_on_stop: bool = False
    """Whether run workers are told to end when the launcher is: their runs are canceled. Otherwise they live on."""

    @model_validator(mode="after")
    def _check_worker(self) -> Self:
        return self._checked("worker_nats_url", lambda: self.worker_bus_address)

    @property
    def worker_bus_address(self) -> str:
        """The bus as run workers reach it, with the credential that they share: a secret."""
        address = self.bus_address if self.worker_nats_url is None else self.worker_nats_url.get_secret_value()
        password = None if self.worker_nats_password is None else self.worker_nats_password.get_secret_value()
        return nats_address(address, user=self.worker_nats_user, password=password)

    @property
    def at_once(self) -> int:
        """How many workers are being created at the same time."""
        return self.launches_at_once or (20 if self.backend == "kubernetes" else 4)

    @property
    def limits(self) -> Limits:
        """How long workers are waited for."""
        return Limits(
            start=timedelta(seconds=self.start_timeout_seconds),
            cancel=timedelta(seconds=self.cancel_grace_seconds),
            stop=timedelta(seconds=self.stop_grace_seconds),
            leave=timedelta(seconds=self.leave_grace_seconds),
        )

    @property
    def credentials(self) -> WorkerCredentials:
        """How run workers get onto the bus."""
        secret = None if self.credential_secret is None else self.credential_secret.get_secret_value()
        return WorkerCredentials(secret, self.worker_bus_address)

    @property
    def callout(self) -> CalloutSettings | None:
        """What the answers to the NATS server rest on; None: there are no credentials to give."""
        kept = [self.credential_secret, self.previous_credential_secret]
        secrets = [CredentialSecret(one.get_secret_value()) for one in kept if one is not None]
        if self.credential_secret is None:
            return None
        return CalloutSettings(
            secrets=secrets,
            credential=timedelta(seconds=self.credential_seconds),
            farewell=timedelta(seconds=self.leave_grace_seconds),
        )
