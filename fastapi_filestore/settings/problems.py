"""Put validation errors into words: the variable, its value unless it is a secret, and the remedy."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from fastapi_filestore.settings.addresses import STORE_URL_REMEDY
from fastapi_filestore.settings.backend import BackendSettings
from fastapi_filestore.settings.sources import DELIMITER, PREFIX

REMEDIES = {
    "bool_parsing": "use true or false",
    "bool_type": "use true or false",
    "dict_type": "give each backend variables of its own, such as FILESTORE_BACKENDS__DOCUMENTS__URL",
    "greater_than_equal": "use {ge} or more",
    "int_from_float": "use a whole number",
    "int_parsing": "use a whole number",
    "int_type": "use a whole number",
    "less_than_equal": "use {le} or less",
    "literal_error": "use {expected}",
    "missing": STORE_URL_REMEDY,
    "path_not_directory": "there is no such folder; give the path of one that the process can see",
    "string_type": "use text",
    "value_error": "{error}",
}
"""The remedy by the type of pydantic's error; other types keep pydantic's own words."""

SHOWN_LENGTH = 100
_CREDENTIALS = re.compile(r"(?<=//).*(?=@)|(?<=[?#]).+")
_BACKENDS = re.compile(r"backends?_+")


def describe(error: ValidationError, settings: type[BaseModel]) -> list[str]:
    """Return a line for each problem of settings that failed to validate."""
    problems = list[str]()
    for details in error.errors(include_url=False):
        path = [part for part in details["loc"] if isinstance(part, str) and part != "[key]"]
        template = REMEDIES.get(details["type"])
        remedy = (template.format_map(details.get("ctx", {})) if template else details["msg"]).rstrip(".")
        match details["type"]:
            case "extra_forbidden":
                problem = f" is not a setting: {_suggestion(path, settings)}"
            case "model_type":
                problem = f" sets no option of a backend: {_suggestion(path, settings)}"
            case "missing":
                problem = f" is not set: {remedy}."
            case _:
                problem = f"{_quoted_value(details, path, settings)}: {remedy}."
        problems.append(variable(*path) + problem)
    return problems


def variable(*path: str) -> str:
    """Return the variable of a field: `backends`, `documents`, `url` is FILESTORE_BACKENDS__DOCUMENTS__URL."""
    return PREFIX + DELIMITER.join(path).upper()


def holds_secret(annotation: object) -> bool:
    """Tell whether a value of this type is, or contains, a secret."""
    return annotation is SecretStr or any(holds_secret(part) for part in get_args(annotation))


def _quoted_value(details: ErrorDetails, path: Sequence[str], settings: type[BaseModel]) -> str:
    """Quote a wrong value, or say which entry of a list it is; nothing of a secret, or of a backend with some."""
    value, place = details["input"], details["loc"][-1]
    if isinstance(place, int):
        return f", entry {place + 1}"
    match path:
        case ["backends", _, option]:
            field = BackendSettings.model_fields.get(option)
        case ["backends", *_]:
            field = None
        case _:
            field = settings.model_fields.get(path[0])
    if field is None or holds_secret(field.annotation) or not isinstance(value, str | int | float):
        return ""
    return f" is {_CREDENTIALS.sub('***', str(value))[:SHOWN_LENGTH]!r}"


def _suggestion(path: Sequence[str], settings: type[BaseModel]) -> str:
    match path:
        case ["backends", backend, option]:
            meant = [f"backends{DELIMITER}{backend}{DELIMITER}{name}" for name in _closest(option, BackendSettings)]
        case ["backends", text]:
            meant = [_delimit(text)]
        case [name, *_] if _BACKENDS.match(name):
            meant = [_delimit(_BACKENDS.sub("", name))]
        case _:
            meant = _closest(path[0], settings)
    return f"did you mean {variable(*meant)}?" if meant else "docs/settings.md lists them all."


def _closest(name: str, model: type[BaseModel]) -> list[str]:
    words = set(name.split("_"))  # a word that was left out is likelier than one that is another
    longer = [field for field in model.model_fields if words < set(field.split("_"))] if len(words) > 1 else []
    return longer[:1] or get_close_matches(name, model.model_fields, n=1)


def _delimit(text: str) -> str:
    """Put the two underscores where they belong in `documents_aws_region`; a backend's name alone gets its URL."""
    endings = [name for name in BackendSettings.model_fields if text.endswith(f"_{name}")]
    option = max(endings, key=len, default="url")
    return DELIMITER.join(("backends", text.removesuffix(option).strip("_"), option))
