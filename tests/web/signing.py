"""A site with signed URLs, and files that they lead to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response

from fastapi_filestore import Filestore, ObstoreBackend, storages
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in


def signed(app: FastAPI, files: Filestore) -> None:
    """Mount the documents and the route of signed URLs."""
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.signed_router())


@pytest.fixture(params=["memory", "local"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Register a backend that can't presign."""
    backend = ObstoreBackend(key="web", fs="memory://" if request.param == "memory" else tmp_path / "store")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("web")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Documents and signed URLs, with a low limit."""
    async with serve(build=signed, signing_keys=[SIGNING_KEY], max_upload_size=1000, shared=True) as site:
        yield site


async def refused(response: Response) -> None:
    """Assert the one answer that every bad signature gets."""
    body = problem_in(response, 403, "invalid-signature")
    assert body["detail"] == "The signed URL is not valid, or no longer."
