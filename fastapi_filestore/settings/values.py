"""Types of single settings; a wrong value raises a ValueError that is the remedy."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.http_address import problem_of_address
from fastapi_filestore.settings.mode import parse_file_mode, parse_folder_mode
from fastapi_filestore.settings.signing_keys import problem_of_key
from fastapi_filestore.settings.size import SIZE_REMEDY, parse_size

S3_SCHEMES = ("s3", "s3a")
GOOGLE_SCHEMES = ("gs", "gcs")
AZURE_SCHEMES = ("az", "azure", "abfs", "abfss")
LOCAL_SCHEMES = ("file",)
NETWORK_SCHEMES = S3_SCHEMES + GOOGLE_SCHEMES + AZURE_SCHEMES
STORE_SCHEMES = (*NETWORK_SCHEMES, *LOCAL_SCHEMES, "memory")
STORE_URL_REMEDY = "use s3://bucket/, gs://bucket/, az://container/, file:///folder/ or memory://"
REGION = re.compile(r"[A-Za-z0-9._-]{1,63}")
REGION_REMEDY = "use the name of a region, as eu-central-1, in letters, digits, - and _"
# A secret key may contain a slash, so it is not always in what a parser calls the network location.
_CREDENTIALS = re.compile(r":.*@|[?#]")
READ: Final = "read"
_INTERNAL_PATH = re.compile(r"/(?:[A-Za-z0-9_-]+/)+")
_BACKEND_NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


def _backend_name(name: str) -> str:
    if not _BACKEND_NAME.fullmatch(name):
        raise ValueError("name a backend in lower-case letters and digits, single _ or - between them")
    return name


def _store_url(url: str) -> str:
    scheme, delimiter, place = url.partition("://")
    if "${" in url:
        raise ValueError("a variable in it was not replaced; write what it stands for")
    if scheme in LOCAL_SCHEMES:
        if re.search(r"[?#]", place):
            raise ValueError("it has no ? and no #; options are settings of their own, and in a name write %3F and %23")
        if place.strip("/") in ("", ".") and place.startswith("/"):
            raise ValueError("it is the root of all disks; name a folder, and see whether a variable in it was empty")
    if scheme not in LOCAL_SCHEMES and _CREDENTIALS.search(place):
        raise ValueError("give credentials in settings of their own; a URL holds none, and no ? or #")
    if not delimiter or scheme not in STORE_SCHEMES:
        raise ValueError(STORE_URL_REMEDY)
    return url


def _http_url(url: str) -> str:
    if problem := problem_of_address(url):
        raise ValueError(problem)
    return url


def _public_url(url: str) -> str:
    return _http_url(url).rstrip("/") if url else url


def _region(region: str) -> str:
    if not REGION.fullmatch(region):
        raise ValueError(REGION_REMEDY)
    return region


def _existing_file(path: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError("there is no such file; give the path of one that the process can see")
    return str(file)


def _json_object(secret: SecretStr) -> SecretStr:
    try:
        is_object = isinstance(json.loads(secret.get_secret_value()), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise ValueError("give the text of the JSON file; for its path there is a setting of its own")
    return secret


def _strong_key(key: SecretStr) -> SecretStr:
    if problem := problem_of_key(key.get_secret_value()):
        raise ValueError(problem)
    return key


def _seconds(value: object) -> object:
    try:
        return timedelta(seconds=float(value)) if isinstance(value, str | int | float) else value
    except (ValueError, OverflowError):
        raise ValueError("use a number of seconds") from None


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta():
        raise ValueError("use a number of seconds above 0")
    return duration


def _size(value: object) -> object:
    try:
        return parse_size(value) if isinstance(value, str) else value
    except ConfigurationError:
        raise ValueError(SIZE_REMEDY) from None


def _file_mode(mode: str) -> str:
    parse_file_mode(mode)
    return mode


def _folder_mode(mode: str) -> str:
    parse_folder_mode(mode)
    return mode


def _internal_path(path: str) -> str:
    if not _INTERNAL_PATH.fullmatch(path):
        raise ValueError("begin and end it with a slash, as /protected/; letters, digits, - and _ between")
    return path


def _probe(value: object) -> object:
    try:
        return READ if isinstance(value, str) and value.lower() == READ else TypeAdapter(bool).validate_python(value)
    except ValidationError:
        raise ValueError("use true, false or read") from None


def _listed(value: object) -> object:
    """Split a text at commas and line ends, or read it as a JSON list."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("the JSON list is malformed; quote each key, or separate them by commas only") from None


DownloadWay = Literal["stream", "redirect", "accel"]
Probe = Annotated[bool | Literal["read"], BeforeValidator(_probe)]
FileMode = Annotated[str, AfterValidator(_file_mode)]
FolderMode = Annotated[str, AfterValidator(_folder_mode)]
InternalPath = Annotated[str, AfterValidator(_internal_path)]
BackendName = Annotated[str, AfterValidator(_backend_name)]
StoreURL = Annotated[str, AfterValidator(_store_url)]
HTTPURL = Annotated[str, AfterValidator(_http_url)]
Region = Annotated[str, AfterValidator(_region)]
PublicURL = Annotated[str, AfterValidator(_public_url)]
ExistingFile = Annotated[str, AfterValidator(_existing_file)]
JSONSecret = Annotated[SecretStr, AfterValidator(_json_object)]
Seconds = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_positive)]
Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]
SigningKey = Annotated[SecretStr, AfterValidator(_strong_key)]
SigningKeys = Annotated[tuple[SigningKey, ...], BeforeValidator(_listed)]
