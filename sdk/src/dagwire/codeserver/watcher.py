"""Notices that code files have changed, and has them loaded again. What a load does: ``definitions``."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from watchfiles import Change, DefaultFilter, awatch

log = logging.getLogger(__name__)

_ENDINGS: Final = (".py", ".yaml", ".yml", ".toml", ".sql")
"""Code, and what is commonly read while it is imported. Data that runs write is not among them."""
_IGNORED: Final = (*DefaultFilter.ignore_dirs, ".dagwire", ".uv", "build", "dist")
_QUIET_MS: Final = 100
"""An editor writes several files, or one in several moves: this long nothing more must come."""


class _CodeFilter(DefaultFilter):
    def __init__(self) -> None:
        super().__init__(ignore_dirs=_IGNORED)

    def __call__(self, change: Change, path: str) -> bool:
        return path.endswith(_ENDINGS) and super().__call__(change, path)


async def watch(folders: Sequence[Path], reload: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Call ``reload`` after each change below the folders, until ``stop``; one load follows the other."""
    try:
        async for changes in awatch(
            *folders, watch_filter=_CodeFilter(), debounce=1600, step=_QUIET_MS, stop_event=stop, rust_timeout=1000
        ):
            paths = sorted({path for _, path in changes})
            log.info("code changed", extra={"files": ", ".join(paths[:3]), "count": len(paths)})
            await reload()
    except (OSError, RuntimeError) as error:  # too many folders for the kernel, or one that was removed
        log.error(  # noqa: TRY400 -- the message says it all
            "code is no longer watched; restart the server to see changes",
            extra={"folders": ", ".join(map(str, folders)), "error": str(error)},
        )
