"""Find out in which region a bucket is that was asked for in another: S3 says so, and obstore does not pass it on."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from obstore.store import LocalStore, MemoryStore, S3Store

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import BucketNotFoundError, StorageError, StorageTimeoutError
from fastapi_filestore.storage.failures.reasons import NO_BUCKET, SILENT, WRONG_REGION
from fastapi_filestore.storage.failures.report import REGION
from fastapi_filestore.storage.failures.translate import explain_anew
from fastapi_filestore.storage.obstore.opening.stores import Store

PATIENCE: Final = 3.0
"""Seconds that the answer is waited for: without it, the error only says less."""
MOST_READ: Final = 16 * 1024
"""Bytes of an answer that are looked at."""
HEADER: Final = "x-amz-bucket-region"
ENDPOINT: Final = re.compile(
    r"<Endpoint>[^<]{0,255}\bs3[.-]([a-z]{2}(?:-[a-z]{1,16}){1,4}-\d)\.amazonaws[^<]{0,64}</Endpoint>"
)
REDIRECTS: Final = range(300, 400)


@dataclass(slots=True)
class Whereabouts:
    """Knows, once it was asked for, where the bucket of a backend is."""

    backend: str
    place: str
    _region: str | None = None

    @asynccontextmanager
    async def adding_facts(self, store: Store) -> AsyncIterator[None]:
        """Add to errors of the block what they do not know: where the bucket is, and how long it may be silent."""
        try:
            yield
        except BucketNotFoundError as error:
            if error.backend != self.backend:
                raise
            raise explain_anew(error, NO_BUCKET, place=f"{self.place}, ") from None
        except StorageTimeoutError as error:
            options = None if isinstance(store, LocalStore | MemoryStore) else store.client_options
            # obstore shows it as text, as 10s.
            silence = f"now {options['read_timeout']}" if options and "read_timeout" in options else None
            if error.backend != self.backend or error.status is not None or silence is None:
                raise
            raise explain_anew(error, SILENT, cause=error.cause or "", silence=silence) from error.__cause__
        except StorageError as error:
            # Without a code it is the answer to a HEAD, which has no body to say more.
            is_said_so = error.status in REDIRECTS or (error.status == HTTPStatus.BAD_REQUEST and error.code is None)
            if not isinstance(store, S3Store) or not is_said_so or error.backend != self.backend:
                raise
            self._region = self._region or await THREADS.run(_region_of, store)
            if self._region in (None, store.config.get("region")):
                raise
            raise explain_anew(error, WRONG_REGION, region=self._region) from None


def _region_of(store: S3Store) -> str | None:
    """Ask, blocking and without a signature, where a bucket is; None if nobody says so."""
    config = store.config
    endpoint = config.get("endpoint") or f"https://s3.{config.get('region', 'us-east-1')}.amazonaws.com"
    has_bucket = config.get("virtual_hosted_style_request") and config.get("endpoint")
    try:
        url = urlsplit(endpoint if has_bucket else f"{endpoint.rstrip('/')}/{config.get('bucket', '')}")
        connect = HTTPConnection if url.scheme == "http" else HTTPSConnection
        with closing(connect(url.netloc, timeout=PATIENCE)) as connection:
            connection.request("GET", url.path or "/")
            answer = connection.getresponse()
            if (named := answer.getheader(HEADER)) is not None:
                return named if re.fullmatch(r"[a-z0-9-]{1,32}", named) else None
            body = answer.read(MOST_READ).decode(errors="replace")
    except (OSError, HTTPException, ValueError):
        return None
    found = REGION.search(body) or ENDPOINT.search(body)
    return next((group for group in found.groups() if group), None) if found else None
