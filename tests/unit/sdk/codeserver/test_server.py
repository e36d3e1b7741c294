import errno
import socket

import pytest
from dagwire.codeserver import server
from grpc import aio


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EADDRINUSE, "port 80 of box is in use: choose another with -p, or -p 0 for any free one"),
        (errno.EACCES, "port 80 needs more rights than this user has: choose one above 1023 with -p"),
        (errno.EADDRNOTAVAIL, "box is no address of this machine: choose one with -h, or 0.0.0.0 for all of them"),
        (errno.EMFILE, "port 80 of box cannot be listened on: no more files"),
    ],
)
def test_each_reason_why_a_port_cannot_be_had_is_a_sentence(number, message):
    assert server._reason(OSError(number, "no more files"), "box", 80) == message


def test_an_unknown_host_is_a_sentence():
    with pytest.raises(server.PortError, match="the host 'no such host' is unknown"):
        server._probe("no such host", 0)


def test_an_address_of_another_machine_is_a_sentence():
    with pytest.raises(server.PortError, match=r"8\.8\.8\.8 is no address of this machine"):
        server._probe("8.8.8.8", 0)


async def test_a_port_that_is_taken_after_the_probe_is_not_shared(monkeypatch):
    monkeypatch.setattr(server, "_probe", lambda *_: None)
    first, second = aio.server(options=server._OPTIONS), aio.server(options=server._OPTIONS)
    port = server._bind(first, "127.0.0.1", 0)
    try:
        with pytest.raises(server.PortError, match="cannot be listened on"):
            server._bind(second, "127.0.0.1", port)
    finally:
        await first.stop(None)
        await second.stop(None)


async def test_version_6_addresses_are_listened_on():
    if not socket.has_ipv6:
        raise AssertionError("this machine has no IPv6")
    listener = aio.server(options=server._OPTIONS)
    try:
        assert server._bind(listener, "::1", 0) > 0
    finally:
        await listener.stop(None)
