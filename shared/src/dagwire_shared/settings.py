"""Settings of a process, read from its environment once. A wrong environment gives one message with every fault."""

import re
from typing import Any, Final, Literal, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from dagwire_shared.errors import SettingsError
from dagwire_shared.logs import LogFormat, redact

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_EXPLANATION_LIMIT: Final = 200


class ServiceSettings(BaseSettings):
    """The base of every process's settings; a subclass sets ``env_prefix`` and documents its fields."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    log_level: LogLevel = "INFO"
    """The least severe log records that are written: DEBUG, INFO, WARNING or ERROR."""

    log_format: LogFormat = "text"
    """How log records are written: ``text`` for people, ``json`` for machines."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings from the environment; ``overrides`` win over it.

        Raises:
            SettingsError: something is wrong or missing; the message lists every fault by its variable's name.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            faults = [_describe(cls, fault["loc"], fault["msg"], fault["type"]) for fault in error.errors()]
            raise SettingsError("wrong settings:\n" + "\n".join(f"  {fault}" for fault in sorted(faults))) from error
        except UnreadableSettingError as error:
            field = next(iter(re.findall(r'field "(\w+)"', str(error))), "")
            fault = _describe(cls, (field,), "Is not valid JSON", "json")
            raise SettingsError(f"wrong settings:\n  {fault}") from error


def variable_of(settings_class: type[BaseSettings], field: str) -> str:
    """Return the name of the environment variable of a field."""
    return f"{settings_class.model_config.get('env_prefix', '')}{field}".upper()


def _describe(cls: type[BaseSettings], place: tuple[int | str, ...], message: str, kind: str) -> str:
    if not place:
        return redact(message)
    name = variable_of(cls, str(place[0]))
    inner = "".join(f"[{part}]" for part in place[1:])
    field = cls.model_fields.get(str(place[0]))
    meaning = (field.description or "").split("\n\n")[0].replace("\n", " ") if field is not None else ""
    said = "is not set" if kind == "missing" else message[0].lower() + message[1:]
    return redact(f"{name}{inner}: {said}" + (f" — {meaning[:_EXPLANATION_LIMIT]}" if meaning else ""))
