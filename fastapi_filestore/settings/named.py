"""Find the names of backends in settings that nobody is to follow otherwise, as in tests."""

from contextlib import suppress
from typing import NamedTuple

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

from fastapi_filestore.settings.filestore import FilestoreSettings
from fastapi_filestore.settings.sources import PREFIX, VariableSource, variables_of, without_quotes

_OF_BACKENDS = tuple(f"{PREFIX}{name}".lower() for name in ("backends", "default_backend", "secrets_dir"))


class NamedBackends(NamedTuple):
    """The names of backends that variables have, and the one among them that is the default, if it is said."""

    names: frozenset[str]
    default: str | None


def named_backends() -> NamedBackends:
    """Return the backends that the environment and `.env` name, right or wrong as they may be otherwise."""
    names, default = set[str](), None
    for source in (DotEnvSettingsSource, EnvSettingsSource):
        with suppress(OSError, ValueError):
            values = VariableSource(FilestoreSettings, variables_of(source(FilestoreSettings)))()
            backends, chosen = values.get("backends"), values.get("default_backend")
            names |= {str(name).lower() for name in backends} if isinstance(backends, dict) else set()
            default = chosen.lower() if isinstance(chosen, str) else default
    return NamedBackends(frozenset(names | ({default} if default else set())), default)


class WithoutBackends(FilestoreSettings):
    """Settings of arguments and of the environment, without its backends, `.env` and secret files."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep those sources."""
        kept = {
            name: value
            for name, value in without_quotes(variables_of(env_settings)).items()
            if not name.lower().startswith(_OF_BACKENDS)
        }
        return init_settings, VariableSource(settings_cls, kept)
