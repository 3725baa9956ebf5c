"""Read settings where they come from: variables of the environment and `.env`, and secret files named like them."""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings.env_file import ENCODING

PREFIX = "FILESTORE_"
DELIMITER = "__"
OURS = "filestore"
ALIKE = 0.88
"""Of the likeness of two words: one of nine letters is missing, too many, or at the place of its neighbour."""

# Kubernetes puts these into every pod beside a Service whose name is "filestore", or begins so: "filestore-api".
_SERVICE_LINK = re.compile(
    r"(?:[a-z0-9_]{1,255}_)?(?:service_host|service_port(?:_\w{1,255})?|port_\d{1,5}_(?:tcp|udp|sctp)(?:_\w{1,255})?)"
)
_SERVICE_PORT = re.compile(r"(?:[a-z0-9_]+_)?port")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1""", re.DOTALL)


class VariableSource(PydanticBaseSettingsSource):
    """Variables by name; unknown ones are kept, so that validation refuses them by name."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self.variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        """Return the variable of one field as it was written."""
        return self.variables.get(PREFIX.lower() + field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        """Return the values that are set, nested as the fields are."""
        settings = dict[str, str]()
        for name, value in self.variables.items():
            field = name.lower().removeprefix(PREFIX.lower())
            text = (value or "").strip()
            # An empty variable is an unset one; an empty URL is a mistake that must not fall back to local disk.
            is_set = bool(text) or field.endswith(f"{DELIMITER}url")
            is_port = _SERVICE_PORT.fullmatch(field) and _SERVICE_ADDRESS.match(value or "")
            is_of_kubernetes = is_port or _SERVICE_LINK.fullmatch(field)
            if field != name.lower() and is_set and not is_of_kubernetes:
                settings[field] = text
        return nest(settings)


class SecretFileSource(VariableSource):
    """Files of the folder that `secrets_dir` names, each named like a variable, in any case."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, {})

    def __call__(self) -> dict[str, object]:
        """Return what the files set; the folder is known from the sources before."""
        folder = self.current_state.get("secrets_dir")
        self.variables = read_secrets(Path(folder)) if isinstance(folder, str | Path) else {}
        return super().__call__()


def without_quotes(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return variables without the quotes around values, which Docker takes from an env file as they are."""
    return {
        name: quoted[2] if value and (quoted := _QUOTED.fullmatch(value.strip())) else value
        for name, value in variables.items()
    }


def refuse_misspelt(variables: Mapping[str, str | None], fields: Collection[str]) -> None:
    """Raise `SettingsError` for variables that end as a setting does, behind a word that is almost ours."""
    problems = list[str]()
    for name in variables:
        spelled = re.sub(r"[^a-z0-9]", "_", name.lower())
        ends = [match for field in fields if (match := spelled.rfind(f"_{field}")) > 0]
        ends = [
            end for end in ends if spelled[end + 1 :] in fields or spelled[end:].startswith(f"_backends{DELIMITER}")
        ]
        word = spelled[: min(ends, default=0)].replace("_", "")
        is_ours = name.lower().startswith(PREFIX.lower())
        # A prefix in front, as MY_FILESTORE_, is somebody's own.
        if not is_ours and (
            word == OURS or (get_close_matches(word, [OURS], cutoff=ALIKE) and not word.endswith(OURS))
        ):
            meant = PREFIX + spelled[min(ends) + 1 :].upper()
            problems.append(f"{name.upper()} is not read: did you mean {meant}?")
    if problems:
        raise SettingsError(problems)


def variables_of(source: PydanticBaseSettingsSource) -> Mapping[str, str | None]:
    """Return what pydantic-settings read for one of its own sources, names in lower case."""
    return source.env_vars if isinstance(source, EnvSettingsSource) else {}


def read_secrets(folder: Path) -> dict[str, str | None]:
    """Read the files of a folder that are named like our variables; other secrets are not opened."""
    if not folder.is_dir():
        return {}
    secrets = dict[str, str | None]()
    for path in sorted(folder.iterdir()):
        if not (path.name.upper().startswith(PREFIX) and path.is_file()):
            continue
        text, problem = "", ""
        try:
            text = path.read_text(encoding=ENCODING)
        except UnicodeDecodeError:
            problem = "it is not UTF-8 text"
        except OSError as error:
            problem = f"{error.strerror}; let the process read it"
        if "\0" in text:
            problem = "it is not UTF-8 text, but perhaps UTF-16: save it as UTF-8"
        if problem:  # raised here, the error carries no context, which would hold the secret
            raise SettingsError([f"The secret file {path} can't be read: {problem}."])
        secrets[path.name.lower()] = text.strip()
    return secrets


def nest(variables: Mapping[str, str]) -> dict[str, object]:
    """Turn `backends__documents__url` into `{"backends": {"documents": {"url": …}}}`; other names stay flat.

    A backend, or all of them, may also be given as a JSON object; a variable of one option beats it.
    """
    settings: dict[str, object] = {}
    paths = [name.split(DELIMITER, 2) if name.startswith(f"backends{DELIMITER}") else [name] for name in variables]
    for *path, last in sorted(paths, key=len):
        branch: object = settings
        for part in path:
            branch = branch.setdefault(part, {}) if _is_object(branch) else branch
        if _is_object(branch):
            value: object = variables[DELIMITER.join((*path, last))]
            if last == "backends" or len(path) == 1:
                with suppress(ValueError):
                    value = json.loads(str(value))
            branch[last] = value
    return settings


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
