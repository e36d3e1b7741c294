"""``python -m dagwire_launcher``: builds the launcher from its settings and runs it."""

from datetime import timedelta

from dagwire_shared.health import OK, Health
from dagwire_shared.jetstream.member import joined
from dagwire_shared.process import run_service

from dagwire_launcher.backends import make_backend
from dagwire_launcher.instance import instance_name
from dagwire_launcher.service import Launcher, Policy
from dagwire_launcher.settings import Settings


async def main(settings: Settings, health: Health) -> None:
    """Run the launcher until it is told to stop."""
    policy = Policy(
        limits=settings.limits,
        max_concurrent_runs=settings.max_concurrent_runs,
        location_patience=timedelta(seconds=settings.location_patience_seconds),
        sweep=timedelta(seconds=settings.sweep_seconds),
        end_workers_on_stop=settings.end_workers_on_stop,
    )
    backend = make_backend(settings)
    health.add("backend", lambda: backend.trouble or OK)
    with instance_name(settings.directory) as holder:
        async with joined(settings, health, name="dagwire-launcher") as bus:
            await Launcher(bus, backend, policy, holder=holder).run()


if __name__ == "__main__":
    run_service("dagwire-launcher", Settings, main)
