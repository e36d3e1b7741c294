import asyncio
from collections.abc import AsyncGenerator

from dagwire_dagit.sse import EventStream


class Client:
    """The other end of an ASGI connection."""

    def __init__(self, *, reads: bool = True) -> None:
        self.messages: list = []
        self.gone = asyncio.Event()
        self.reads = reads
        self.got = asyncio.Event()

    async def receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message) -> None:
        self.messages.append(message)
        self.got.set()
        if not self.reads and message["type"] == "http.response.body":
            await asyncio.Event().wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


class Source:
    """Chunks, of which it is known whether somebody still wants them."""

    def __init__(self, *chunks: bytes, endless: bool = False) -> None:
        self.given = chunks
        self.endless = endless
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in self.given:
                yield chunk
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_chunks_are_sent_as_they_come_and_the_end_is_an_end():
    client, source = Client(), Source(b"a", b"", b"b")
    await EventStream(source.chunks())({}, client.receive, client.send)
    assert client.body == b"ab"
    assert client.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    headers = dict(client.messages[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers


async def test_a_client_that_goes_away_ends_its_feed():
    client, source = Client(), Source(b"a", endless=True)
    answering = asyncio.create_task(EventStream(source.chunks())({}, client.receive, client.send))
    while client.body != b"a":
        client.got.clear()
        await client.got.wait()
    client.gone.set()
    await asyncio.wait_for(answering, 5)
    assert source.closed


async def test_a_client_that_stops_reading_is_disconnected(caplog):
    caplog.set_level("INFO")
    client, source = Client(reads=False), Source(b"a", b"b")
    await EventStream(source.chunks(), stall_seconds=0.01)({}, client.receive, client.send)
    assert client.messages[-1]["body"] == b"a"
    assert source.closed
    assert "slow client disconnected" in caplog.text


async def test_a_cancelled_answer_ends_its_feed():
    client, source = Client(), Source(b"a", endless=True)
    answering = asyncio.create_task(EventStream(source.chunks())({}, client.receive, client.send))
    await client.got.wait()
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert source.closed
