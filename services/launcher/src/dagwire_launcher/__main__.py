"""``python -m dagwire_launcher [nats-auth]``: builds the launcher from its settings and runs it."""

import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Final, NoReturn

from dagwire_shared.health import OK, Health
from dagwire_shared.jetstream import JetStreamBus
from dagwire_shared.jetstream.member import joined
from dagwire_shared.process import run_service

from dagwire_launcher.backends import make_backend
from dagwire_launcher.callout import Callout
from dagwire_launcher.credentials import inbox_of
from dagwire_launcher.instance import instance_name
from dagwire_launcher.ledger import Ledger
from dagwire_launcher.natsauth import nats_auth
from dagwire_launcher.service import Launcher, Policy
from dagwire_launcher.settings import Settings

NAME: Final = "dagwire-launcher"


async def serve(settings: Settings, health: Health) -> None:
    """Run the launcher until it is told to stop."""
    policy = Policy(
        limits=settings.limits,
        max_concurrent_runs=settings.max_concurrent_runs,
        launches_at_once=settings.at_once,
        location_patience=timedelta(seconds=settings.location_patience_seconds),
        sweep=timedelta(seconds=settings.sweep_seconds),
        end_workers_on_stop=settings.end_workers_on_stop,
    )
    backend = make_backend(settings)
    health.add("backend", lambda: backend.trouble or OK)
    with instance_name(settings.directory) as holder:
        async with joined(settings, health, name=NAME, inbox_prefix=inbox_of("launcher")) as bus:
            launcher = Launcher(bus, backend, policy, holder=holder)
            async with _callout(settings, health, bus, launcher):
                await launcher.run()


def _callout(
    settings: Settings, health: Health, bus: JetStreamBus, launcher: Launcher
) -> AbstractAsyncContextManager[None]:
    if settings.callout is None:
        return nullcontext()
    callout = Callout(settings.callout, Ledger(bus.streams), watches=launcher.watches)
    health.add("credentials", lambda: callout.trouble or OK, informs=True)
    return callout.serving(bus)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the service or its command."""
    if arguments:
        sys.exit(nats_auth(arguments))
    run_service(NAME, Settings, serve)


if __name__ == "__main__":
    main(sys.argv[1:])
