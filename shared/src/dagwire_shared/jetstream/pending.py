"""Requests that wait for their answers, by token. No I/O."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Waiting(Generic[_Answer]):
    subjects: Collection[str]
    future: asyncio.Future[_Answer]


class Pending(Generic[_Answer]):
    """The requests of one connection that are not answered yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting[_Answer]] = {}

    def add(self, token: str, subjects: Collection[str]) -> asyncio.Future[_Answer]:
        """Begin to wait for an answer; ``subjects`` are those whose denial ends the wait."""
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[token] = _Waiting(subjects, future)
        return future

    def remove(self, token: str) -> None:
        """Stop waiting, whatever happened."""
        future = self._waiting.pop(token).future
        if future.done() and not future.cancelled():
            future.exception()  # seen: asyncio must not warn of it

    def answer(self, token: str, answer: _Answer) -> None:
        """Hand over an answer, if anybody waits for it still."""
        waiting = self._waiting.get(token)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_result(answer)

    def fail(self, error: Exception, *, subject: str | None = None) -> None:
        """Fail every request, or those that concern a subject (in lower case)."""
        for waiting in self._waiting.values():
            if waiting.future.done():
                continue
            if subject is None or any(one.lower() == subject for one in waiting.subjects):
                waiting.future.set_exception(error)
