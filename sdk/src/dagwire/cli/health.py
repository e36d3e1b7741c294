"""`dagwire api grpc-health-check`: what a container's probe calls. Loads neither user code nor the code server."""

import click
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dagwire.cli.exits import CommandError, ExitCode


@click.command("grpc-health-check")
@click.option("-h", "--host", envvar="DAGWIRE_GRPC_HOST", show_envvar=True, default="127.0.0.1", show_default=True)
@click.option(
    "-p", "--port", envvar="DAGWIRE_GRPC_PORT", show_envvar=True, type=click.IntRange(1, 65535), required=True
)
@click.option("--service", default="", metavar="NAME", help="A service's full name; the whole server if left out.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="Seconds.")
@click.option("--use-ssl", is_flag=True, help="The server stands behind TLS.")
def check(*, host: str, port: int, service: str, timeout: float, use_ssl: bool) -> None:
    """Ask a code server whether it serves: exit code 0 if so, 1 if it says no, 5 if it cannot be reached.

    Code that fails to load does not make a server unhealthy: it answers with the error.
    """
    # A server that listens on every address is asked on this machine's own.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = grpc.ssl_channel_credentials() if use_ssl else None
    channel = grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout
            )
        except grpc.RpcError as error:
            raise _failure(error, address, service) from error
    word = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    click.echo(word)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        click.get_current_context().exit(ExitCode.RUN_FAILED)


def _failure(error: grpc.RpcError, address: str, service: str) -> CommandError:
    code = error.code() if isinstance(error, grpc.Call) else None
    if code == grpc.StatusCode.NOT_FOUND:
        return CommandError(f"the server at {address} has no service {service!r}", ExitCode.NOT_FOUND)
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return CommandError(f"the server at {address} did not answer in time", ExitCode.UNREACHABLE)
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return CommandError(f"what listens at {address} has no gRPC health service", ExitCode.UNREACHABLE)
    return CommandError(f"no gRPC server answers at {address}", ExitCode.UNREACHABLE)
