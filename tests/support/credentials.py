"""A NATS server that knows Dagwire's users and asks launchers about everybody else, and a callout that answers."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from dagwire_launcher.authorization import configuration
from dagwire_launcher.callout import Callout, CalloutSettings
from dagwire_launcher.credentials import WorkerCredentials, inbox_of
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.secret import CredentialSecret
from dagwire_launcher.users import users
from dagwire_shared.ids import RunId
from dagwire_shared.jetstream import JetStreamBus, connect
from support.nats import NatsServer, nats_server

SECRET = "a secret that only launchers know"
PASSWORDS = {name: f'{name}\'s "p@ss\\word"%20:/ü' for name in users()}


@contextlib.asynccontextmanager
async def guarded_server(directory: Path, *, secret: str = SECRET) -> AsyncIterator[NatsServer]:
    """Run a server with the configuration that ``nats-auth`` writes."""
    async with nats_server(directory, config=configuration(CredentialSecret(secret), PASSWORDS)) as server:
        yield server


@contextlib.asynccontextmanager
async def as_user(server: NatsServer, name: str) -> AsyncIterator[JetStreamBus]:
    """Connect as a service, or as the client."""
    url = server.url_for(name, PASSWORDS[name])
    prefix = "_INBOX" if name == "client" else inbox_of(name)
    async with connect(url, name=name, inbox_prefix=prefix) as bus:
        yield bus


@contextlib.asynccontextmanager
async def as_worker(server: NatsServer, run_id: RunId, *, secret: str = SECRET) -> AsyncIterator[JetStreamBus]:
    """Connect as a run's worker."""
    found = WorkerCredentials(secret, server.url).environment(run_id)
    async with connect(
        found["DAGWIRE_WORKER_NATS_URL"], name="worker", inbox_prefix=found["DAGWIRE_WORKER_INBOX_PREFIX"]
    ) as bus:
        yield bus


def callout(
    bus: JetStreamBus,
    *secrets: str,
    watched: frozenset[RunId] = frozenset(),
    credential: float = 600,
    farewell: float = 0,
) -> Callout:
    """A launcher's callout, without the rest of the launcher."""
    settings = CalloutSettings(
        secrets=[CredentialSecret(one) for one in secrets or (SECRET,)],
        credential=timedelta(seconds=credential),
        farewell=timedelta(seconds=farewell),
    )
    return Callout(settings, Ledger(bus.streams), watches=watched.__contains__)
