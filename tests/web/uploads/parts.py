"""Uploads in parts as a client has them: begun at the application, stored in a bucket of SeaweedFS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, Header
from httpx import AsyncClient, Response

from fastapi_filestore import Filestore, ObstoreBackend, StorageBackend, UploadOptions, storages
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import MIB, QUICK_RETRIES
from tests.web.conftest import Serve
from tests.web.models import Album, Document, Photo
from tests.web.site import Build, Site

AT = "/documents/uploads/s3"
LARGEST = 7 * 2**30
LONG, END = bytes(5 * MIB), b"the end"


async def who(x_user: Annotated[str, Header()] = "ann") -> str:
    """Return who asks."""
    return x_user


def in_parts(app: FastAPI, files: Filestore) -> None:
    """Mount documents of users, small pictures, and a model with several columns."""
    own = UploadOptions(owner=who, most_open=10)
    app.include_router(files.router(Document, uploads=own), prefix="/documents")
    app.include_router(files.router(Photo, uploads=own), prefix="/photos")
    app.include_router(files.router(Album, field="cover", uploads=own), prefix="/albums")


@dataclass(frozen=True, slots=True)
class Bucket:
    """An application whose files are in a bucket, and a client that stores there by itself."""

    site: Site
    outside: AsyncClient
    backend: ObstoreBackend

    async def begin(self, at: str = AT, user: str = "ann", **told: Any) -> str:
        """Begin an upload in parts as Uppy does, and return its id."""
        body = {"filename": "a.txt", "type": "text/plain", "metadata": {}} | told
        response = await self.site.client.post(f"{at}/multipart", json=body, headers={"X-User": user})
        assert response.status_code == 200, response.text
        told = response.json()
        assert told["key"] == told["uploadId"]
        return str(told["key"])

    async def ask(self, method: str, upload: str, below: str = "", *, user: str = "ann", **options: Any) -> Response:
        """Ask for an upload, or for something below it."""
        url = f"{AT}/multipart/{upload}{below}"
        return await self.site.client.request(method, url, headers={"X-User": user}, **options)

    async def store(self, upload: str, number: int, content: bytes = END) -> dict[str, Any]:
        """Store a part, and return what completes it."""
        signed = await self.ask("GET", upload, f"/{number}", params={"key": upload})
        assert signed.status_code == 200, signed.text
        stored = await self.outside.put(signed.json()["url"], content=content)
        assert stored.status_code == 200, stored.text
        return {"PartNumber": number, "ETag": stored.headers["ETag"].strip('"')}

    async def complete(self, upload: str, *parts: dict[str, Any]) -> Response:
        """Complete an upload as Uppy does."""
        return await self.ask("POST", upload, "/complete", params={"key": upload}, json={"parts": parts})

    async def unfinished(self) -> list[str]:
        """Return the paths that are stored in parts now."""
        return [upload.path async for upload in self.backend.unfinished_uploads()]


@asynccontextmanager
async def open_bucket(
    serve: Serve, seaweedfs: SeaweedFS, before: StorageBackend, build: Build = in_parts
) -> AsyncIterator[Bucket]:
    """Serve an application with its files in a part of a bucket of its own."""
    options: dict[str, Any] = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "retry_config": QUICK_RETRIES,
    }
    s3 = ObstoreBackend(key="web", fs=f"s3://{seaweedfs.bucket}/{uuid4().hex}", **options)
    async with serve(backend=s3, build=build, max_upload_size=LARGEST) as site, AsyncClient(timeout=30) as outside:
        storages.register_backend(s3, replace=True)
        try:
            yield Bucket(site, outside, s3)
            await site.check()
        finally:
            storages.register_backend(before, replace=True)
