"""The command `dagwire up`: options in, one summary out, until Ctrl-C."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from pathlib import Path
from typing import TypedDict, Unpack

import click
import httpx
from dagwire_shared.errors import DagwireError

from dagwire_standalone import summary
from dagwire_standalone.code import Sources, codes
from dagwire_standalone.directory import Directory
from dagwire_standalone.machine import Machine, Options, started

FIRST_RUN_SECONDS = 120.0
"""How long the summary waits for the first run; the run itself may take as long as it likes."""


class Chosen(TypedDict):
    """The command's options, as click hands them over."""

    python_files: tuple[str, ...]
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    attribute: str | None
    working_directory: str | None
    directory: str
    host: str
    port: int
    nats_port: int
    postgres_port: int
    max_concurrent_runs: int
    first_run: str | None
    log_level: str


@click.command()
@click.option(
    "-f", "--python-file", "python_files", multiple=True, help="A Python file with your jobs; may be repeated."
)
@click.option("-m", "--module", "modules", multiple=True, help="A module with your jobs; may be repeated.")
@click.option("--package-name", "packages", multiple=True, help="A package with your jobs; may be repeated.")
@click.option("-a", "--attribute", help="The repository or Definitions in it; default: whatever it defines.")
@click.option("-d", "--working-directory", help="Where imports are resolved; default: the file's own folder.")
@click.option("--directory", default=".dagwire", show_default=True, help="The data directory: history, runs, logs.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Dagit's port.")
@click.option("--nats-port", default=4222, show_default=True, help="The port of the embedded NATS server.")
@click.option("--postgres-port", default=5433, show_default=True, help="The port of the embedded PostgreSQL.")
@click.option("--max-concurrent-runs", default=10, show_default=True, help="Further runs wait in the queue.")
@click.option("--first-run", metavar="JOB", help="Launch this job once when the data directory is new.")
@click.option("--log-level", default="INFO", show_default=True, help="Of the parts' log files.")
def up(**chosen: Unpack[Chosen]) -> None:
    """Start every part of Dagwire on this machine, with an embedded NATS server and PostgreSQL.

    Serves your code, and Dagit at http://127.0.0.1:3000. Ctrl-C stops everything; the history stays in the data
    directory.
    """
    logging.basicConfig(level=logging.WARNING, format="  %(message)s")
    try:
        options = _options(chosen)
        asyncio.run(_up(options, chosen["first_run"] if options.directory.is_new else None))
    except DagwireError as error:
        raise click.ClickException(str(error)) from error


def _options(chosen: Chosen) -> Options:
    sources = Sources(
        python_files=chosen["python_files"],
        modules=chosen["modules"],
        packages=chosen["packages"],
        attribute=chosen["attribute"],
        working_directory=chosen["working_directory"],
    )
    return Options(
        directory=Directory(Path(chosen["directory"]).resolve()),
        host=chosen["host"],
        dagit_port=chosen["port"],
        nats_port=chosen["nats_port"],
        postgres_port=chosen["postgres_port"],
        codes=codes(sources, host=chosen["host"]),
        log_level=chosen["log_level"],
        max_concurrent_runs=chosen["max_concurrent_runs"],
    )


async def _up(options: Options, first_run: str | None) -> None:
    began = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    options.directory.create()
    click.echo("Starting Dagwire …", err=True)
    running = asyncio.ensure_future(_serve(options, first_run, began))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        click.echo("\nStopping …", err=True)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    stopped.cancel()
    click.echo("Stopped.", err=True)


async def _serve(options: Options, first_run: str | None, began: float) -> None:
    async with started(options) as machine:
        locations = await machine.dagit.locations([code.name for code in options.codes])
        click.echo(summary.ready(machine.plan, locations, time.monotonic() - began))
        if first_run is not None:
            await _launch_first(machine, options.codes[0].name, first_run)
        click.echo(f"\n{summary.stopping_hint(machine.plan)}")
        sys.stdout.flush()
        await machine.failed()


async def _launch_first(machine: Machine, location: str, job: str) -> None:
    try:
        run_id = await machine.dagit.launch(location, job, key="dagwire-up:first-run")
        run = await asyncio.wait_for(machine.dagit.ended(run_id, job), FIRST_RUN_SECONDS)
    except (LookupError, httpx.HTTPError, TimeoutError) as error:
        click.echo(f"  First run   {job} could not be followed: {error or type(error).__name__}", err=True)
    else:
        click.echo(summary.first_run(machine.plan, run))
