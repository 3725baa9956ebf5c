"""Tell of every setting which value it has, its secrets masked, and where that came from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.logs import redact
from fastapi_filestore.settings.backend import BackendSettings
from fastapi_filestore.settings.filestore import FilestoreSettings
from fastapi_filestore.settings.problems import holds_secret, variable
from fastapi_filestore.settings.sources import VariableSource, read_secrets, variables_of, without_quotes

Origin = Literal["environment", ".env", "secret file", "code", "default"]
MASK = "********"


@dataclass(frozen=True, slots=True)
class SettingAsRead:
    """One setting: its variable, its value as text without secrets, and where that came from."""

    variable: str
    value: str
    origin: Origin


def settings_as_read(settings: FilestoreSettings) -> list[SettingAsRead]:
    """Return every setting of the file store, and of its backends those that are set, in the order of the docs."""
    origin_of = _origins(settings)
    found = list[SettingAsRead]()
    for name, field in type(settings).model_fields.items():
        if name != "backends":
            is_set = name in settings.model_fields_set
            origin = origin_of((name,)) if is_set else "default"
            found.append(SettingAsRead(variable(name), _shown(getattr(settings, name), field), origin))
    for key, backend in settings.backends.items():
        for name in BackendSettings.model_fields:
            if name in backend.model_fields_set:
                path = ("backends", key, name)
                origin = origin_of(path) if "backends" in settings.model_fields_set else "default"
                shown = _shown(getattr(backend, name), BackendSettings.model_fields[name])
                found.append(SettingAsRead(variable(*path), shown, origin))
    return found


def _origins(settings: FilestoreSettings) -> Callable[[tuple[str, ...]], Origin]:
    """Return what tells of a setting's path where its value came from: the first place that says the same."""
    try:
        read: FilestoreSettings | None = type(settings)()
    except SettingsError:
        read = None
    places = list(_places(settings))

    def origin_of(path: tuple[str, ...]) -> Origin:
        if read is not None and _value_at(read, path) == _value_at(settings, path):
            for origin, values in places:
                if _is_in(values, path):
                    return origin
        return "code"

    return origin_of


def _places(settings: FilestoreSettings) -> Iterator[tuple[Origin, Mapping[str, object]]]:
    """Yield the places that settings are read from, the first that counts first, with what each sets."""
    kind = type(settings)
    environment, of_file = variables_of(EnvSettingsSource(kind)), variables_of(DotEnvSettingsSource(kind))
    yield "environment", VariableSource(kind, without_quotes(environment))()
    yield ".env", VariableSource(kind, of_file)()
    if settings.secrets_dir is not None:
        yield "secret file", VariableSource(kind, read_secrets(Path(settings.secrets_dir)))()


def _value_at(settings: FilestoreSettings, path: tuple[str, ...]) -> object:
    match path:
        case (name,):
            return cast("object", getattr(settings, name))
        case _:
            return getattr(settings.backends.get(path[1]), path[2], None)


def _is_in(values: Mapping[str, object], path: tuple[str, ...]) -> bool:
    """Tell whether nested values have one at a path; keys of JSON may be in any case."""
    branch: object = values
    for part in path:
        if not isinstance(branch, Mapping):
            return False
        known = {str(name).lower(): value for name, value in cast("Mapping[object, object]", branch).items()}
        if part not in known:
            return False
        branch = known[part]
    return True


def _shown(value: object, field: FieldInfo) -> str:
    if value is None:
        return ""
    if holds_secret(field.annotation):
        # How many there are says whether a comma was forgotten, and nothing else.
        return ", ".join([MASK] * len(cast("tuple[SecretStr, ...]", value))) if isinstance(value, tuple) else MASK
    if isinstance(value, bool):
        return str(value).lower()
    return str(redact(str(value)))
