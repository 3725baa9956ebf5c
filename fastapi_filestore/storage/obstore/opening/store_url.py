"""Read the URL or path of a backend once, and check it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from fastapi_filestore.errors import ConfigurationError, InvalidKeyError
from fastapi_filestore.storage.local.platforms import path_in_url
from fastapi_filestore.storage.paths import check_path

Kind = Literal["s3", "gs", "az", "file", "memory"]

SCHEMES: dict[str, Kind] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
    "file": "file",
    "memory": "memory",
}
FORMS = "s3://bucket, gs://bucket, az://container (each may go on with /prefix), file:///folder, memory://, or a path"
BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$-]*", re.ASCII)
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?://)?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoreURL:
    """A kind of store, and the bucket and prefix or the folder in it."""

    kind: Kind
    bucket: str = ""
    prefix: str | None = None
    root: Path | None = None

    def __str__(self) -> str:
        """Return the URL; it never holds a secret."""
        if self.root is not None:
            return self.root.as_uri()
        return f"{self.kind}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def parse_store_url(fs: str | os.PathLike[str]) -> StoreURL:
    """Read a URL or a path of a local folder.

    Raises:
        ConfigurationError: The scheme is unknown, the bucket is missing, or the prefix can't be one.
    """
    text = os.fspath(fs)
    match = SCHEME.fullmatch(text)
    if match is None or not isinstance(fs, str):
        return _local(text)
    scheme, rest = match[1].lower(), match[2]
    kind = SCHEMES.get(scheme)
    if kind is None:
        raise ConfigurationError(f"A backend can't be at a {scheme}:// URL; use {FORMS}.")
    if kind == "file":
        return _local(path_in_url(unquote(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)))
    if kind == "memory":
        if rest.strip("/"):
            raise ConfigurationError("A memory backend has no name or prefix: use memory://.")
        return StoreURL(kind)
    bucket, _, prefix = rest.partition("/")
    word = "container" if kind == "az" else "bucket"
    if not bucket:
        raise ConfigurationError(f"The URL names no {word}: use {kind}://{word}.")
    if not BUCKET.fullmatch(bucket):
        # Not shown: what does not look like a bucket may be credentials.
        raise ConfigurationError(
            f"The part after {kind}:// is not the name of a {word}: give the name only, and account, endpoint, region "
            "and credentials as options."
        )
    try:
        return StoreURL(kind, bucket, check_path(prefix.strip("/")) if prefix.strip("/") else None)
    except InvalidKeyError as exc:
        raise ConfigurationError(f"The URL's prefix can't be one: {exc}") from None


def _local(path: str) -> StoreURL:
    if not path.strip():
        raise ConfigurationError(f"The folder of a local backend is missing; use {FORMS}.")
    return StoreURL("file", root=Path(os.path.normpath(Path(path).expanduser().absolute())))
