"""Types of single settings; a wrong value raises a ValueError that is the remedy."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter

from fastapi_filestore.settings.addresses import problem_of_address, problem_of_store_url
from fastapi_filestore.settings.mode import parse_file_mode, parse_folder_mode
from fastapi_filestore.settings.signing_keys import problem_of_key
from fastapi_filestore.settings.size import SIZE_REMEDY, parse_size

T = TypeVar("T")

REGION = re.compile(r"[A-Za-z0-9._-]{1,63}")
REGION_REMEDY = "use the name of a region, as eu-central-1, in letters, digits, - and _"
READ: Final = "read"
_BOOL = TypeAdapter(bool)


def _require(is_fine: Callable[[Any], object], remedy: str) -> AfterValidator:
    """Return a validator that refuses a value which a function finds wrong, or can't even look at."""

    def check(value: T) -> T:
        try:
            fine = is_fine(value)
        except ValueError:
            fine = False
        if not fine:  # raised here, the error carries no context, which could hold a secret
            raise ValueError(remedy)
        return value

    return AfterValidator(check)


def _refuse(problem_of: Callable[[str], str | None]) -> AfterValidator:
    """Return a validator that refuses a text, or a secret, which a function finds a problem in."""

    def check(value: T) -> T:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if problem := problem_of(text):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _convert(convert: Callable[[object], object], remedy: str) -> BeforeValidator:
    """Return a validator that converts a value as it is written."""

    def run(value: object) -> object:
        try:
            return convert(value)
        except (ValueError, OverflowError):
            raise ValueError(remedy) from None

    return BeforeValidator(run)


def _split(value: object) -> object:
    """Split a text at commas and line ends, or read it as a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())


UnknownQuery = Literal["ignore", "refuse"]
DownloadWay = Literal["stream", "redirect", "accel"]
Probe = Annotated[
    bool | Literal["read"],
    _convert(
        lambda value: READ if str(value).lower() == READ else _BOOL.validate_python(value), "use true, false or read"
    ),
]
# Modes are read where folders are opened; a wrong one is refused here.
FileMode = Annotated[str, AfterValidator(lambda mode: parse_file_mode(mode) and mode)]
FolderMode = Annotated[str, AfterValidator(lambda mode: parse_folder_mode(mode) and mode)]
InternalPath = Annotated[
    str,
    _require(
        re.compile(r"/(?:[A-Za-z0-9_-]+/)+").fullmatch,
        "begin and end it with a slash, as /protected/; letters, digits, - and _ between",
    ),
]
BackendName = Annotated[
    str,
    _require(
        re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*").fullmatch,
        "name a backend in lower-case letters and digits, single _ or - between them",
    ),
]
StoreURL = Annotated[str, _refuse(problem_of_store_url)]
HTTPURL = Annotated[str, _refuse(problem_of_address)]
Region = Annotated[str, _require(REGION.fullmatch, REGION_REMEDY)]
PublicURL = Annotated[
    str, _refuse(lambda url: problem_of_address(url) if url else None), AfterValidator(lambda url: url.rstrip("/"))
]
ExistingFile = Annotated[
    str,
    AfterValidator(lambda path: str(Path(path).expanduser())),
    _require(lambda path: Path(path).is_file(), "there is no such file; give the path of one that the process can see"),
]
JSONSecret = Annotated[
    SecretStr,
    _require(
        lambda secret: isinstance(json.loads(secret.get_secret_value()), dict),
        "give the text of the JSON file; for its path there is a setting of its own",
    ),
]
Seconds = Annotated[
    timedelta,
    _convert(
        lambda value: timedelta(seconds=float(value)) if isinstance(value, str | int | float) else value,
        "use a number of seconds",
    ),
    _require(lambda duration: duration > timedelta(), "use a number of seconds above 0"),
]
Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_SIZE = _convert(lambda value: parse_size(value) if isinstance(value, str) else value, SIZE_REMEDY)
Rate = Annotated[int, _SIZE, Field(ge=0)]
Size = Annotated[int, _SIZE, Field(ge=1)]
SigningKeys = Annotated[
    tuple[Annotated[SecretStr, _refuse(problem_of_key)], ...],
    _convert(_split, "the JSON list is malformed; quote each key, or separate them by commas only"),
]
