"""TCP ports: whether one can be had, and one that can."""

import socket

from dagwire_standalone.errors import PortInUseError


def check(host: str, port: int, *, use: str, option: str) -> None:
    """Raise if nothing can listen on the port.

    Raises:
        PortInUseError: somebody else does, or this user may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"{use} needs port {port} on {host}, which is not free ({error.strerror}): "
                f"stop the program that uses it, or choose another port with {option}."
            ) from error


def free(host: str) -> int:
    """Return a port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
