"""Settings of a process, read from its environment once. A wrong environment gives one message with every fault."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from dagwire_shared.addresses import nats_address, postgres_address
from dagwire_shared.errors import SettingsError
from dagwire_shared.logs import LogFormat, redact

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

SECRETS_DIRECTORY: Final = "DAGWIRE_SECRETS_DIRECTORY"
"""The variable that names a folder of files, each of which holds the value of the variable that it is named like, in
small letters: how a platform mounts secrets. What stands in the environment wins."""

_EXPLANATION_LIMIT: Final = 200


class ServiceSettings(BaseSettings):
    """The base of every process's settings; a subclass sets ``env_prefix`` and documents its fields."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True, env_ignore_empty=True)

    log_level: LogLevel = "INFO"
    """The least severe log records that are written: DEBUG, INFO, WARNING or ERROR."""

    log_format: LogFormat = "text"
    """How log records are written: ``text`` for people, ``json`` for machines."""

    health_port: int = Field(default=0, ge=0, le=65535)
    """The port on which ``/healthz`` and ``/readyz`` are answered, on all of this machine's addresses; 0: on none."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings from the environment and the folder of secrets; ``overrides`` win over both.

        Raises:
            SettingsError: something is wrong or missing; the message lists every fault by its variable's name.
        """
        try:
            return cls(**_secrets_directory(), **overrides)
        except ValidationError as error:
            faults = [_describe(cls, fault["loc"], fault["msg"], fault["type"]) for fault in error.errors()]
            raise SettingsError("wrong settings:\n" + "\n".join(f"  {fault}" for fault in sorted(faults))) from error
        except UnreadableSettingError as error:
            field = next(iter(re.findall(r'field "(\w+)"', str(error))), "")
            fault = _describe(cls, (field,), "Is not valid JSON", "json")
            raise SettingsError(f"wrong settings:\n  {fault}") from error

    def _checked(self, field: str, read: Callable[[], object]) -> Self:
        """Return the settings if a value that several fields make can be read; else name the field."""
        try:
            read()
        except ValueError as error:
            raise ValueError(f"{variable_of(type(self), field)}: {error}") from None
        return self


class BusSettings(ServiceSettings):
    """Of a process that takes part in the bus."""

    nats_url: SecretStr
    """The NATS server, or several joined by commas: ``nats://host:port``; may hold credentials."""

    nats_user: str | None = None
    """The user to connect to NATS as, in place of the address's."""

    nats_password: SecretStr | None = None
    """The password of the NATS user, as it is: any characters."""

    stream_replicas: int = Field(default=1, ge=1, le=5)
    """On how many NATS servers each stream is kept; the same for all services. 3 needs a cluster of three."""

    @model_validator(mode="after")
    def _check_bus(self) -> Self:
        return self._checked("nats_url", lambda: self.bus_address)

    @property
    def bus_address(self) -> str:
        """The bus with its credential: a secret."""
        password = self.nats_password.get_secret_value() if self.nats_password is not None else None
        return nats_address(self.nats_url.get_secret_value(), user=self.nats_user, password=password)


class DatabaseSettings(ServiceSettings):
    """Of a process that uses PostgreSQL."""

    database_url: SecretStr
    """PostgreSQL 14 or newer: ``postgresql://host:port/name``; may hold credentials."""

    database_user: str | None = None
    """The role to connect to PostgreSQL as, in place of the address's."""

    database_password: SecretStr | None = None
    """The password of the PostgreSQL role, as it is: any characters."""

    @model_validator(mode="after")
    def _check_database(self) -> Self:
        return self._checked("database_url", lambda: self.database_address)

    @property
    def database_address(self) -> str:
        """The database with its credential: a secret."""
        password = self.database_password.get_secret_value() if self.database_password is not None else None
        return postgres_address(self.database_url.get_secret_value(), user=self.database_user, password=password)


def _secrets_directory() -> dict[str, Any]:
    """Return where the secrets are, as pydantic-settings wants it.

    Raises:
        SettingsError: they cannot be read.
    """
    directory = os.environ.get(SECRETS_DIRECTORY)
    if not directory:
        return {}
    try:
        unreadable = [file.name for file in Path(directory).iterdir() if not os.access(file, os.R_OK)]
    except OSError as error:
        raise SettingsError(f"{SECRETS_DIRECTORY}: {directory} cannot be read: {error.strerror}") from error
    if unreadable:
        raise SettingsError(f"{SECRETS_DIRECTORY}: {', '.join(unreadable)} in {directory} cannot be read by this user")
    return {"_secrets_dir": directory}


def variable_of(settings_class: type[BaseSettings], field: str) -> str:
    """Return the name of the environment variable of a field."""
    return f"{settings_class.model_config.get('env_prefix', '')}{field}".upper()


def _describe(cls: type[BaseSettings], place: tuple[int | str, ...], message: str, kind: str) -> str:
    if not place:
        return redact(message)
    # A field with a variable of its own name is called by that.
    name = variable_of(cls, str(place[0])) if place[0] in cls.model_fields else str(place[0])
    inner = "".join(f"[{part}]" for part in place[1:])
    field = cls.model_fields.get(str(place[0]))
    meaning = (field.description or "").split("\n\n")[0].replace("\n", " ") if field is not None else ""
    said = "is not set" if kind == "missing" else message[0].lower() + message[1:]
    return redact(f"{name}{inner}: {said}" + (f" — {meaning[:_EXPLANATION_LIMIT]}" if meaning else ""))
