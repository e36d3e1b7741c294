"""Runs a service as a process: settings, logging, event loop, signals and exit codes. Knows no service."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, NoReturn, TypeVar

from dagwire_shared.errors import DagwireError, SettingsError
from dagwire_shared.health import Health, probes
from dagwire_shared.logs import configure_logging, redact
from dagwire_shared.settings import ServiceSettings, variable_of

_new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # uvloop is not on every platform; asyncio's own loop does
    import uvloop

    _new_loop = uvloop.new_event_loop

log = logging.getLogger(__name__)

EXIT_FAILURE: Final = 1
EXIT_SETTINGS: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_Settings = TypeVar("_Settings", bound=ServiceSettings)
Main = Callable[[_Settings, Health], Coroutine[Any, Any, None]]
"""A service: gets its settings, and adds to its health the checks by which it is ready."""


def run_service(name: str, settings_class: type[_Settings], main: Main[_Settings]) -> NoReturn:
    """Run ``main`` until it ends or the process is asked to, then leave the process.

    SIGTERM and SIGINT cancel ``main``, which is expected to clean up within seconds; a second signal ends
    the process at once. Probes are answered meanwhile if the settings name a port. Exit codes: 0 ended or
    asked to, 1 failed, 2 wrong settings.
    """
    try:
        settings = settings_class.load()
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 # there is no logging before settings
        sys.exit(EXIT_SETTINGS)
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    health = Health()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        code = runner.run(_supervise(name, _with_probes(main, settings, health), health))
    sys.exit(code)


async def _with_probes(main: Main[_Settings], settings: _Settings, health: Health) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if settings.health_port:
            setting = variable_of(type(settings), "health_port")
            await stack.enter_async_context(probes(health, settings.health_port, setting=setting))
        await main(settings, health)


async def _supervise(name: str, work: Coroutine[Any, Any, None], health: Health) -> int:
    task = asyncio.create_task(work, name=name)
    asked: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if asked:
            log.warning("ended at once", extra={"service": name, "signal": number.name})
            os._exit(EXIT_FAILURE)
        asked.append(number)
        log.info("service stops", extra={"service": name, "signal": number.name})
        health.stop()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number)
    log.info("service starts", extra={"service": name, "pid": os.getpid()})
    await asyncio.wait({task})
    if task.cancelled():
        error: BaseException | None = None if asked else asyncio.CancelledError("cancelled from within")
    else:
        error = task.exception()
    if error is None:
        log.info("service stopped", extra={"service": name})
        return 0
    _report(name, error)
    return EXIT_FAILURE


def _report(name: str, error: BaseException) -> None:
    """Log expected errors as one line each, anything else with its trace."""
    leaves = list(_leaves(error))
    if all(isinstance(leaf, DagwireError) for leaf in leaves):
        for leaf in leaves:
            log.error("service failed: %s", redact(str(leaf)), extra={"service": name, "error": type(leaf).__name__})
    else:
        log.error("service failed", extra={"service": name}, exc_info=error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
