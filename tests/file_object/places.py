"""Backends of every kind, each with a client that stores there by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from fastapi_filestore import (
    FileObject,
    Filestore,
    FilestoreSettings,
    ObstoreBackend,
    SignedURL,
    StorageRegistry,
)
from fastapi_filestore.file_object.validators import file_rules
from fastapi_filestore.intake.rules import FileRules
from tests.storage.stores import KINDS, make_backend

KEY = "a-signing-key-that-is-long-enough-for-all"


PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Place:
    """A backend of some kind, and a client that stores there by itself."""

    def __init__(self, backend: ObstoreBackend, registry: StorageRegistry, client: AsyncClient) -> None:
        self.backend, self.registry, self.client = backend, registry, client

    def file(self, filename: str = "a.png", *, path: str | None = None, **rules: Any) -> FileObject:
        """Return a file for a column with some rules."""
        file = FileObject(self.backend.key, filename, path=path, registry=self.registry)
        file.assign(None, self.registry, file_rules(**rules) if rules else FileRules())
        return file

    async def send(self, signed: SignedURL, content: bytes, **headers: str) -> Response:
        """Store bytes by an upload URL."""
        if signed.url.startswith("/"):
            return await self.client.put(signed.url, content=content, headers={**signed.headers, **headers})
        async with AsyncClient() as client:
            kept = {name: value for name, value in signed.headers.items() if name not in headers}
            return await client.put(signed.url, content=content, headers={**kept, **headers})


@asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, **settings: Any) -> AsyncIterator[Place]:
    """Open a place."""
    registry, backend = StorageRegistry(), make_backend(kind, request)
    registry.register_backend(backend)
    files = Filestore(settings=FilestoreSettings(_env_file=None, signing_keys=[KEY], **settings), registry=registry)
    app = FastAPI()
    app.include_router(files.signed_router())
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        yield Place(backend, registry, client)


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place of every kind."""
    async with opened(request.param, request) as place:
        yield place
