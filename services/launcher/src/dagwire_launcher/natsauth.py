"""``python -m dagwire_launcher nats-auth``: writes what the NATS server must know, from environment variables."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dagwire_shared.errors import DagwireError
from dagwire_shared.process import EXIT_FAILURE, EXIT_SETTINGS
from dagwire_shared.settings import ServiceSettings
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from dagwire_launcher.authorization import configuration
from dagwire_launcher.secret import MIN_LENGTH, CredentialSecret
from dagwire_launcher.users import users


class NatsAuthSettings(ServiceSettings):
    """The secrets that go into the configuration: ``DAGWIRE_NATS_<USER>_PASSWORD``, and the launchers' own secret."""

    model_config = SettingsConfigDict(env_prefix="DAGWIRE_NATS_", populate_by_name=True)

    dagit_password: SecretStr
    """Of the user ``dagit``."""

    scheduler_password: SecretStr
    """Of the user ``scheduler``."""

    launcher_password: SecretStr
    """Of the user ``launcher``."""

    eventstore_password: SecretStr
    """Of the user ``eventstore``."""

    client_password: SecretStr | None = None
    """Of the user ``client``: who requests runs and follows them from elsewhere; unset: there is no such user."""

    credential_secret: SecretStr = Field(
        min_length=MIN_LENGTH, validation_alias=AliasChoices("DAGWIRE_LAUNCHER_CREDENTIAL_SECRET")
    )
    """The launchers' ``CREDENTIAL_SECRET``."""

    @property
    def passwords(self) -> dict[str, str]:
        """The passwords by user."""
        found = {name: getattr(self, f"{name}_password") for name in users()}
        return {name: password.get_secret_value() for name, password in found.items() if password is not None}


def nats_auth(arguments: Sequence[str]) -> int:
    """Write the configuration, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dagwire_launcher", allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser(
        "nats-auth",
        help="write the NATS server's users and auth callout",
        description="Write what nats.conf includes: the users, what each may do, and who answers for run workers."
        " Passwords are read from DAGWIRE_NATS_<USER>_PASSWORD, the secret from DAGWIRE_LAUNCHER_CREDENTIAL_SECRET.",
    )
    command.add_argument("--output", type=Path, metavar="FILE", help="where to; default: standard output")
    chosen = parser.parse_args(arguments)
    try:
        settings = NatsAuthSettings.load()
        text = configuration(CredentialSecret(settings.credential_secret.get_secret_value()), settings.passwords)
    except DagwireError as error:
        return _fail(str(error), EXIT_SETTINGS)
    try:
        _write(chosen.output, text)
    except OSError as error:
        return _fail(f"{chosen.output} cannot be written: {error.strerror}", EXIT_FAILURE)
    return 0


def _write(file: Path | None, text: str) -> None:
    if file is None:
        sys.stdout.write(text)
        return
    partial = file.with_name(f"{file.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    partial.replace(file)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"dagwire-launcher: {message}\n")
    return code
