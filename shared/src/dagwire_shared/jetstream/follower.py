"""Follows a stream: an ordered reader without acknowledgements that survives reconnects without a gap.

The consumer behind it is thrown away and made anew, from the last sequence seen, whenever anything is in doubt.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from nats.aio.msg import Msg

from dagwire_shared.bus import Batch, Delivery
from dagwire_shared.jetstream import api
from dagwire_shared.jetstream.connection import Connection, DisconnectedError, UnansweredError
from dagwire_shared.jetstream.pull import BrokenPullError, Pull, create_consumer, filters

log = logging.getLogger(__name__)

BATCH: Final = 1000
_CREATE_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.25
_INACTIVE_NS: Final = 60 * 1_000_000_000


class Follower:
    """One reading position in a stream."""

    def __init__(self, connection: Connection, stream: str, subjects: Sequence[str], after: int) -> None:
        self._connection = connection
        self._stream = stream
        self._subjects = tuple(subjects)
        self._after = after
        self._caught_up = False
        self._epoch = 0
        self._created = ""
        self._moved = False

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield batches without end."""
        while True:
            await self._connection.until_connected()
            name = "follow-" + self._connection.new_inbox().rpartition(".")[2]
            pull = Pull(self._connection, self._stream, name, capacity=2 * BATCH, lasting=False)
            try:
                waiting = await self._create(name)
                if waiting is None:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                await pull.open()
                async with contextlib.aclosing(self._read(pull, waiting)) as batches:
                    async for batch in batches:
                        yield batch
            except (BrokenPullError, DisconnectedError, UnansweredError) as error:
                log.info(
                    "follower starts over", extra={"stream": self._stream, "after": self._after, "cause": str(error)}
                )
                await asyncio.sleep(0.01)
            finally:
                await pull.close()
                await self._delete(name)

    async def _create(self, name: str) -> int | None:
        """Create the consumer, and return how many messages wait for it; None: not possible now."""
        config: dict[str, object] = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._after + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _INACTIVE_NS,
            **filters(self._subjects),
        }
        answer = await create_consumer(self._connection, self._stream, name, config, wait=_CREATE_SECONDS)
        if answer.error is not None:
            log.warning("stream cannot be followed yet", extra={"stream": self._stream, "cause": str(answer.error)})
            return None
        waiting = int(answer.content["num_pending"])
        # Asked after the consumer was made, and before anything is pulled from it: a stream that is rebuilt in between
        # takes the consumer with it.
        info = api.read_answer(
            await self._connection.request(f"{api.API}.STREAM.INFO.{self._stream}", wait=_CREATE_SECONDS)
        )
        if info.error is not None:
            return None
        self._epoch = api.read_epoch(info.content)
        return waiting if self._stands(info.content) else None

    def _stands(self, info: Mapping[str, Any]) -> bool:
        """Whether this position is one of this stream; if the stream was rebuilt or lost its end, go back with it."""
        created, self._created = self._created, info["created"]
        if created not in ("", self._created):
            log.warning("stream was rebuilt", extra={"stream": self._stream, "epoch": self._epoch})
            self._after = 0
            return False
        last = int(info["state"]["last_seq"])
        if created and self._after > last and self._moved:
            log.warning("stream lost its end", extra={"stream": self._stream, "after": self._after, "last": last})
            self._after = last
            return False
        return True

    async def _read(self, pull: Pull, waiting: int) -> AsyncGenerator[Batch, None]:
        seen = 0
        self._caught_up = self._caught_up and waiting == 0
        if waiting == 0 and not self._caught_up:
            self._caught_up = True
            yield Batch((), caught_up=True, epoch=self._epoch)
        while True:
            taken = await pull.take(BATCH)
            deliveries, pending = self._check(taken, seen)
            seen += len(deliveries)
            if not taken and pull.consumer_sequence > seen:
                raise BrokenPullError("deliveries were lost on the way")
            if not deliveries:
                if not self._caught_up:  # what was waiting has been removed meanwhile
                    self._caught_up = True
                    yield Batch((), caught_up=True, epoch=self._epoch)
                continue
            self._after, self._moved = deliveries[-1].sequence, True
            self._caught_up = self._caught_up or seen >= waiting or pending == 0
            yield Batch(deliveries, caught_up=self._caught_up, epoch=self._epoch)

    def _check(self, taken: Sequence[tuple[float, Msg]], seen: int) -> tuple[list[Delivery], int]:
        """Read deliveries, refusing a gap in what the consumer counted."""
        deliveries: list[Delivery] = []
        pending = 0
        for _, msg in taken:
            place = api.read_place(msg.reply)
            if place.consumer_sequence != seen + len(deliveries) + 1:
                raise BrokenPullError("deliveries were lost on the way")
            deliveries.append(api.read_delivery(msg, place))
            pending = place.pending
        return deliveries, pending

    async def _delete(self, name: str) -> None:
        """Leave nothing behind; the server removes an unused consumer by itself if this does not reach it."""
        with contextlib.suppress(DisconnectedError):
            await self._connection.publish(f"{api.API}.CONSUMER.DELETE.{self._stream}.{name}")
