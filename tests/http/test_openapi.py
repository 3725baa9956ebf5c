"""What OpenAPI says of the ways that files go."""

from collections.abc import Iterator
from typing import Any

import pytest

from fastapi_filestore import ObstoreBackend, storages
from tests.web.conftest import serve  # noqa: F401 - a fixture
from tests.web.models import Document
from tests.web.site import Build


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the web suite's columns."""
    backend = ObstoreBackend("web", "memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("web")


def mounted(**options: Any) -> Build:
    """Return what mounts the documents with options of their router."""
    return lambda app, files: app.include_router(files.router(Document, **options), prefix="/documents")


@pytest.mark.parametrize(
    ("settings", "options", "listed"),
    [({}, {}, False), ({"downloads": "redirect"}, {}, True), ({}, {"downloads": "redirect"}, True)],
)
async def test_a_redirect_is_listed_where_it_may_come(
    serve: Any,  # noqa: F811
    settings: dict[str, Any],
    options: dict[str, Any],
    listed: bool,
) -> None:
    """The download lists a 307 if settings or router ask for redirects; HEAD never does."""
    async with serve(build=mounted(**options), **settings) as site:
        path = (await site.client.get("/openapi.json")).json()["paths"]["/documents/{identity}/file"]

    assert ("307" in path["get"]["responses"]) is listed
    assert "307" not in path["head"]["responses"]
