"""`dagwire api grpc`, also `dagwire code-server start`: from options and environment to a code server's settings."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click
from click.core import ParameterSource
from dagwire_shared.envelope import compact
from dagwire_shared.errors import InvalidIdentifierError
from dagwire_shared.ids import check_location
from dagwire_shared.logs import configure_logging
from dagwire_shared.records import CodePointer

from dagwire.cli.exits import CommandError, ExitCode
from dagwire.codeserver.server import PortError
from dagwire.codeserver.server import serve as run_server
from dagwire.codeserver.settings import CodeServerSettings

F = TypeVar("F", bound=Callable[..., Any])

_TARGETS: Final = {"python_file": "-f", "module_name": "-m", "package_name": "--package-name"}


def _option(*names: str, env: str, **arguments: Any) -> Callable[[F], F]:
    return click.option(*names, envvar=f"DAGWIRE_{env}", show_envvar=True, **arguments)


def _watch(*, default: bool) -> Callable[[F], F]:
    text = "Load the code again when its files change."
    return _option("--watch/--no-watch", env="GRPC_WATCH", default=default, show_default=True, help=text)


def _json_object(_: click.Context, parameter: click.Parameter, text: str) -> str:
    """Return JSON in one form; nothing stays nothing."""
    if not text:
        return ""
    hint = parameter.opts[0]
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"it is no JSON: {error}", param_hint=hint) from error
    if not isinstance(value, dict) or not isinstance(value.get("k8s", {}), dict):
        raise click.BadParameter('it is no JSON object of the form {"k8s": {…}}', param_hint=hint)
    return compact(value)


@click.command("grpc")
@_option("-f", "--python-file", env="PYTHON_FILE", metavar="FILE", help="Serve a Python file.")
@_option("-m", "--module-name", env="MODULE_NAME", metavar="MODULE", help="Serve a module: package.module.")
@_option("--package-name", env="PACKAGE_NAME", metavar="PACKAGE", help="Serve what a package's __init__.py holds.")
@_option(
    "-a",
    "--attribute",
    env="ATTRIBUTE",
    metavar="NAME",
    help="Serve only this one: a repository, Definitions or a job.",
)
@_option(
    "-d",
    "--working-directory",
    env="WORKING_DIRECTORY",
    metavar="FOLDER",
    default=".",
    help="Import from here; put first on sys.path. [default: the current directory]",
)
@_option("-h", "--host", env="GRPC_HOST", default="127.0.0.1", show_default=True, help="Listen on this address.")
@_option(
    "-p",
    "--port",
    env="GRPC_PORT",
    type=click.IntRange(0, 65535),
    required=True,
    help="Listen on this port; 0: any free one.",
)
@_watch(default=False)
@_option(
    "--location-name", env="LOCATION_NAME", metavar="NAME", default="", help="The code location's name, for the log."
)
@_option(
    "--container-image", env="CURRENT_IMAGE", metavar="IMAGE", default="", help="The image that this server runs in."
)
@_option(
    "--container-context",
    env="CONTAINER_CONTEXT",
    metavar="JSON",
    default="",
    callback=_json_object,
    help='What the pods of this code location\'s runs shall be like: {"k8s": {"resources": …}}.',
)
@_option(
    "-n",
    "--max-workers",
    env="GRPC_MAX_WORKERS",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Questions that run user code at a time.",
)
@_option(
    "--user-code-timeout",
    env="USER_CODE_TIMEOUT",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that a schedule or a config check may take.",
)
@_option(
    "--library",
    "libraries",
    env="LIBRARIES",
    multiple=True,
    metavar="NAME",
    help="Tell clients this distribution's version; repeatable.",
)
@_option(
    "--ready-file",
    env="GRPC_READY_FILE",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the ready line here too.",
)
@_option(
    "--log-level",
    env="LOG_LEVEL",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
)
@_option("--log-format", env="LOG_FORMAT", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def serve(
    context: click.Context,
    /,
    *,
    host: str,
    port: int,
    watch: bool,
    location_name: str,
    container_image: str,
    container_context: str,
    max_workers: int,
    user_code_timeout: float,
    libraries: tuple[str, ...],
    ready_file: Path | None,
    log_level: str,
    log_format: Literal["text", "json"],
    **found: str | None,
) -> None:
    """Serve user code over gRPC: what its jobs and schedules are, and questions to them.

    Name the code by exactly one of -f, -m and --package-name. Code that fails to load does not stop the
    server: it answers with the error.

    Once it answers it prints one line of JSON on stdout:
    {"event": "code_server_ready", "host": …, "port": …, "pid": …, "location": …}. The log goes to stderr.
    """
    pointer = _pointer(context, found)
    settings = CodeServerSettings(
        pointer=pointer,
        host=host,
        port=port,
        watch=_watched(pointer, explicit=_is_given(context, "working_directory")) if watch else (),
        location_name=_location(location_name),
        image=container_image,
        container_context=container_context,
        max_workers=max_workers,
        user_code_timeout=user_code_timeout,
        libraries=libraries,
        ready_file=_writable(ready_file),
    )
    configure_logging(level=log_level.upper(), log_format=log_format)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what changed is logged here, with the names
    # Two saves within a second that leave the size alone would meet the first one's bytecode.
    sys.dont_write_bytecode = sys.dont_write_bytecode or watch
    try:
        asyncio.run(run_server(settings))
    except (PortError, OSError) as error:
        raise CommandError(str(error), ExitCode.NOT_STARTED) from error


def _started() -> click.Command:
    """Return ``dagwire code-server start``: the same, for people who know it by that name; it watches by default."""

    @_watch(default=True)
    def watching() -> None: ...

    watch = {one.name: one for one in click.command(watching).params}
    return click.Command(
        "start",
        callback=serve.callback,
        params=[watch.get(one.name, one) for one in serve.params],
        help=serve.help,
        short_help="Serve user code over gRPC, and load it again when it changes.",
    )


start: Final = _started()


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _pointer(context: click.Context, found: Mapping[str, str | None]) -> CodePointer:
    """Return what the options point at; those on the command line beat the environment's."""
    named = [name for name in _TARGETS if _is_given(context, name)] or [name for name in _TARGETS if found[name]]
    if len(named) != 1:
        wrong = "nothing" if not named else " and ".join(_TARGETS[name] for name in named)
        raise click.UsageError(f"{wrong} named: name the code by exactly one of {', '.join(_TARGETS.values())}.")
    folder = Path(found["working_directory"] or ".").expanduser().absolute()
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}", param_hint="-d")
    target = {named[0]: found[named[0]]}
    if named[0] == "python_file":
        target = {"python_file": str((Path.cwd() / str(found["python_file"])).absolute())}
    return CodePointer(**target, attribute=found["attribute"], working_directory=str(folder), executable=sys.executable)


def _location(name: str) -> str:
    try:
        return check_location(name) if name else ""
    except InvalidIdentifierError as error:
        raise click.BadParameter(str(error), param_hint="--location-name") from error


def _writable(file: Path | None) -> Path | None:
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.absolute().parent}", param_hint="--ready-file")
    return file


def _watched(pointer: CodePointer, *, explicit: bool) -> tuple[Path, ...]:
    """Return the folders to watch: the file's or the package's own, and the working directory if it was named.

    The current directory alone is not watched for a file elsewhere: it may be anything, the root included.
    """
    working = Path(pointer.working_directory)
    folders = {working} if explicit or pointer.python_file is None else set()
    if pointer.python_file is not None:
        folders.add(Path(pointer.python_file).parent)
    found = {folder.resolve() for folder in folders if folder.is_dir()}
    return tuple(sorted(one for one in found if not any(one != other and one.is_relative_to(other) for other in found)))
