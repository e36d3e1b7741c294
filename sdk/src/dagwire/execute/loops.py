"""Runs async ops to their end from synchronous code."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any


def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns."""
    return asyncio.run(coroutine)


def drained(items: AsyncGenerator[Any, None]) -> Generator[Any, None, None]:
    """Yield what an async generator yields."""
    with asyncio.Runner() as runner:
        while True:
            try:
                item = runner.run(_next(items))
            except StopAsyncIteration:
                return
            yield item


async def _next(items: AsyncGenerator[Any, None]) -> Any:
    return await anext(items)
