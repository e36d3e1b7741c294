"""A container's health: asks the service that runs in it for ``/readyz``. Imports next to nothing, as it runs often.

Which service it is, is read from the command line of process 1; a process that is no service is taken as healthy.
"""

import _socket
import os
import sys

PORTS = {"dagit": "3000", "eventstore": "8081", "launcher": "8081", "scheduler": "8081"}
SECONDS = 2.0


def main() -> int:
    """Return 0 if the service says that it is ready, or 1; write what it said."""
    with open("/proc/1/cmdline", "rb") as file:  # noqa: PTH123 -- pathlib is half of the start
        words = file.read().decode(errors="replace").split("\0")
    service = next((word[8:] for word in words if word.startswith("dagwire_")), None)
    if service not in PORTS:
        return 0
    setting = f"DAGWIRE_{service.upper()}_{'' if service == 'dagit' else 'HEALTH_'}PORT"
    port = int(os.environ.get(setting) or PORTS[service])
    try:
        head, _, body = ask(port).partition(b"\r\n\r\n")
    except OSError as error:
        head, body = b"", f"port {port} of this container: {error}".encode()
    sys.stdout.write(body.decode(errors="replace"))
    return 0 if head[9:12] == b"200" else 1


def ask(port: int) -> bytes:
    """Return what the service answers, as it came.

    Raises:
        OSError: nothing listens there, or it takes too long.
    """
    socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    socket.settimeout(SECONDS)
    socket.connect(("127.0.0.1", port))
    socket.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    parts = []
    while part := socket.recv(65536):
        parts.append(part)
    return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
