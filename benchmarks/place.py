"""Where a contender keeps its files and rows: told by the harness in one variable of the environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from obstore.store import LocalStore, S3Store
from sqlalchemy import make_url

VARIABLE = "BENCHMARK_PLACE"
SOURCE = "source.bin"
"""Name of the file that the harness puts there for what reads without writing first."""
DRIVERS = {
    ("sqlite", True): "sqlite+aiosqlite",
    ("sqlite", False): "sqlite",
    ("postgresql", True): "postgresql+asyncpg",
    ("postgresql", False): "postgresql+psycopg",
}

StoreKind = Literal["local", "s3"]
DatabaseKind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of an S3 server on loopback."""

    endpoint: str
    name: str
    region: str
    access_key: str
    secret_key: str

    def store(self) -> S3Store:
        """Open it as a user of obstore does."""
        return S3Store(
            self.name,
            endpoint=self.endpoint,
            region=self.region,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            client_options={"allow_http": True, "timeout": "600s"},
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or bucket for files, a database for rows, and what the upload route must refuse."""

    root: str
    database: str
    bucket: Bucket | None = None
    token: str = ""
    limit: int = 16 * 1024**3
    durable: bool = True
    uploads: bool = False

    @classmethod
    def of_process(cls) -> "Place":
        """Return the place that this process was started for."""
        told = json.loads(os.environ[VARIABLE])
        return cls(**{**told, "bucket": told["bucket"] and Bucket(**told["bucket"])})

    def environment(self) -> Mapping[str, str]:
        """Return the variables that tell a process of it; temporary files go to the same disk."""
        return {VARIABLE: json.dumps(asdict(self)), "TMPDIR": str(self.spool)}

    @property
    def folder(self) -> Path:
        """Where files go if there is no bucket."""
        return Path(self.root) / "files"

    @property
    def spool(self) -> Path:
        """Where temporary files go."""
        return Path(self.root) / "spool"

    def url(self, *, asynchronous: bool) -> str:
        """Return the database's URL for SQLAlchemy."""
        url = make_url(self.database)
        named = url.set(drivername=DRIVERS[url.get_backend_name(), asynchronous])
        return named.render_as_string(hide_password=False)

    def store(self) -> LocalStore | S3Store:
        """Open the folder or bucket as a user of obstore does."""
        return LocalStore(self.folder, mkdir=True) if self.bucket is None else self.bucket.store()

    def stored_bytes(self) -> int:
        """Add up what is complete in the folder or bucket."""
        if self.bucket is None:
            files = (each for each in self.folder.rglob("*") if each.is_file() and not _unfinished(each.name))
            return sum(each.stat().st_size for each in files)
        return sum(entry["size"] for page in self.bucket.store().list() for entry in page)


def _unfinished(name: str) -> bool:
    # obstore writes name#1 and renames it; filestore writes .name.….tmp and renames it.
    return "#" in name or name.endswith(".tmp")
