"""What each part is started with: pure functions from a ``Plan`` to commands and settings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from dagwire_launcher.authorization import access
from dagwire_launcher.secret import CredentialSecret
from dagwire_launcher.users import CLIENT, users

from dagwire_standalone import database, nats
from dagwire_standalone.directory import Directory
from dagwire_standalone.processes import Part


@dataclass(frozen=True, slots=True)
class Code:
    """One code location: the arguments that find it, and the port of its server."""

    name: str
    arguments: Sequence[str]
    working_directory: Path
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is decided before anything is started."""

    directory: Directory
    host: str
    dagit_port: int
    nats_port: int
    store_database: str
    """The event store's database address."""
    reader_database: str
    """Dagit's database address: a role that may only read."""
    codes: Sequence[Code]
    log_level: str
    max_concurrent_runs: int

    def nats_of(self, user: str) -> str:
        """Return the bus address with the credential of a service, or of the client."""
        return nats.url(self.host, self.nats_port, user=user, password=self.directory.secret(f"nats-{user}"))

    @property
    def client_nats(self) -> str:
        """The bus address for people: it requests runs, cancels and follows them."""
        return self.nats_of(CLIENT)

    @property
    def credential_secret(self) -> str:
        """What the credentials of run workers are derived from."""
        return self.directory.secret("credential")

    @property
    def dagit_url(self) -> str:
        """Where people find Dagit."""
        return f"http://{self.host}:{self.dagit_port}"


def workspace(plan: Plan) -> str:
    """Return the workspace file: where Dagit and the scheduler find the code servers."""
    servers = [
        {"grpc_server": {"host": plan.host, "port": code.port, "location_name": code.name}} for code in plan.codes
    ]
    return yaml.safe_dump({"load_from": servers}, sort_keys=False)


def nats_configuration(plan: Plan) -> str:
    """Return the NATS server's configuration file; it holds passwords."""
    return nats.configuration(
        host=plan.host,
        port=plan.nats_port,
        store=plan.directory.nats,
        access=access(
            CredentialSecret(plan.credential_secret),
            {user: plan.directory.secret(f"nats-{user}") for user in users()},
        ),
    )


def nats_server(plan: Plan) -> Part:
    """Return the NATS server."""
    return Part(
        name="nats",
        command=[str(nats.program()), "--config", str(plan.directory.private("nats.json"))],
        log_file=plan.directory.logs / "nats.log",
        final_exit_codes=frozenset(),
    )


def code_server(plan: Plan, code: Code) -> Part:
    """Return the server of one code location; it reloads when its files change."""
    address = ["-h", plan.host, "-p", str(code.port), "--location-name", code.name, "--watch"]
    return Part(
        name=f"code-{code.name}",
        command=[sys.executable, "-m", "dagwire.cli", "api", "grpc", *code.arguments, *address],
        environment={"PYTHONUNBUFFERED": "1"},
        directory=code.working_directory,
        log_file=plan.directory.logs / f"code-{code.name}.log",
    )


def event_store(plan: Plan) -> Part:
    """Return the event store."""
    return _service(plan, "eventstore", {"DATABASE_URL": plan.store_database, "READER_ROLE": database.READER_ROLE})


def launcher(plan: Plan) -> Part:
    """Return the launcher, with the process backend. Its workers end with it when it is asked to stop."""
    settings = {
        "WORKER_NATS_URL": nats.url(plan.host, plan.nats_port),
        "CREDENTIAL_SECRET": plan.credential_secret,
        "DIRECTORY": str(plan.directory.runs),
        "MAX_CONCURRENT_RUNS": str(plan.max_concurrent_runs),
        "END_WORKERS_ON_STOP": "true",
    }
    part = _service(plan, "launcher", settings)
    workers = {"DAGWIRE_WORKER_STORAGE_DIRECTORY": str(plan.directory.storage)}
    return replace(part, environment={**part.environment, **workers}, stop_seconds=20.0)


def scheduler(plan: Plan) -> Part:
    """Return the scheduler."""
    return _service(plan, "scheduler", {"WORKSPACE": str(plan.directory.workspace)})


def dagit(plan: Plan) -> Part:
    """Return Dagit."""
    settings = {
        "DATABASE_URL": plan.reader_database,
        "WORKSPACE": str(plan.directory.workspace),
        "HOST": plan.host,
        "PORT": str(plan.dagit_port),
    }
    return _service(plan, "dagit", settings)


def _service(plan: Plan, name: str, settings: dict[str, str]) -> Part:
    common = {"NATS_URL": plan.nats_of(name), "LOG_LEVEL": plan.log_level, "LOG_FORMAT": "json"}
    prefix = f"DAGWIRE_{name.upper()}_"
    return Part(
        name=name,
        command=[sys.executable, "-m", f"dagwire_{name}"],
        environment={f"{prefix}{key}": value for key, value in {**common, **settings}.items()},
        log_file=plan.directory.logs / f"{name}.log",
    )
