"""``python -m dagwire_scheduler``: builds the scheduler from its settings and runs it."""

import asyncio
import os
import secrets
import socket
from datetime import timedelta

from dagwire_shared.health import Health
from dagwire_shared.jetstream.member import joined
from dagwire_shared.leases import LeaseKeeper
from dagwire_shared.locations import Locations, read_workspace
from dagwire_shared.process import run_service

from dagwire_scheduler.clock import SystemClock
from dagwire_scheduler.service import Scheduler
from dagwire_scheduler.settings import Settings
from dagwire_scheduler.skew import compare, watch_skew


async def main(settings: Settings, health: Health) -> None:
    """Run the scheduler until it is told to stop."""
    locations = Locations(read_workspace(settings.workspace))
    clock = SystemClock()
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    async with (
        joined(settings, health, name="dagwire-scheduler", inbox_prefix="_INBOX_scheduler") as bus,
        LeaseKeeper(bus.state, "scheduler", holder=holder, duration=timedelta(seconds=settings.lease_seconds)) as lease,
        asyncio.TaskGroup() as tasks,
    ):
        await compare(bus.state, clock)
        tasks.create_task(clock.run(), name="clock")
        tasks.create_task(watch_skew(bus.state, clock), name="skew")
        tasks.create_task(locations.run(), name="locations")
        await Scheduler(bus, locations, lease=lease, clock=clock, policy=settings.policy).run()


if __name__ == "__main__":
    run_service("dagwire-scheduler", Settings, main)
