"""Routes where something else reads the body that an upload is in: told at the start, or shared, never waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, FastAPI, File, Form, Request
from httpx import ASGITransport, AsyncClient, Response

from fastapi_filestore import ConfigurationError, Filestore, FilestoreSettings, Upload, Uploads
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import problem_in

FILES = Filestore(settings=FilestoreSettings(_env_file=None, max_upload_size=100_000))
SIZE = 80_000
"""Bytes of a file, more than a refusal reads and throws away without a pause."""
PDF = {"file": ("a.pdf", b"%PDF" * (SIZE // 4), "application/pdf")}

upload_of_a = Annotated[Upload, Depends(FILES.upload("a"))]
upload_of_b = Annotated[Upload, Depends(FILES.upload("b"))]
upload_of_file = Annotated[Upload, Depends(FILES.upload(content_types=["application/pdf"]))]
uploads_of_file = Annotated[Uploads, Depends(FILES.uploads("file", max_files=2))]


async def sign(request: Request) -> str:
    """Look at the whole body, as who checks a signature does."""
    return sha256(await request.body()).hexdigest()


async def spend(request: Request) -> None:
    """Read the body and keep none of it."""
    async for _ in request.stream():
        pass


async def parse(request: Request) -> None:
    """Read the form."""
    async with request.form():
        pass


async def two(a: upload_of_a, b: upload_of_b) -> None:
    """Take two uploads."""


async def list_and_one(a: upload_of_a, others: uploads_of_file) -> None:
    """Take one upload and a list."""


async def form(a: upload_of_a, title: Annotated[str, Form()] = "") -> None:
    """Take a field as FastAPI does."""


async def file(a: upload_of_a, other: Annotated[bytes, File()] = b"") -> None:
    """Take another file as FastAPI does."""


async def json(a: upload_of_a, value: Annotated[dict[str, int], Body()]) -> None:
    """Take JSON as FastAPI does."""


async def count(upload: upload_of_file) -> int:
    """Read an upload."""
    return sum([len(chunk) async for chunk in upload])


async def count_all(uploads: uploads_of_file) -> int:
    """Read several uploads."""
    return sum([len(chunk) async for upload in uploads async for chunk in upload])


READERS = [two, list_and_one, form, file, json]


def application(endpoint: Callable[..., Any], *dependencies: Callable[..., Any]) -> FastAPI:
    """Return an application of one route."""
    app = FastAPI(exception_handlers=FILES.exception_handlers)
    app.post("/read", dependencies=[Depends(each) for each in dependencies])(endpoint)
    return app


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Open a client of an application that is not started."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site") as client, asyncio.timeout(5):
        yield client


async def answer(app: FastAPI, **request: Any) -> Response:
    """Post to the route."""
    async with client_of(app) as client:
        return await client.post("/read", **request)


@pytest.mark.parametrize("endpoint", READERS)
async def test_two_readers_of_a_body_stop_the_start(endpoint: Callable[..., Any]) -> None:
    """An application says which route has them, and what to do, before it serves a request."""
    app = application(endpoint)
    with pytest.raises(ConfigurationError, match=rf"'{endpoint.__name__}' \(POST /read\).*`fields=`.*files\.uploads"):
        async with FILES.lifespan(app):
            pass


@pytest.mark.parametrize("endpoint", READERS)
async def test_two_readers_of_a_body_are_a_problem(endpoint: Callable[..., Any]) -> None:
    """Without the lifespan the request is a 500 at once, not one that never ends."""
    sent = {"json": {"a": 1}} if endpoint is json else {"files": {"a": b"a", "b": b"b"}}

    problem_in(await answer(application(endpoint), **sent), 500, "configuration-error")


async def test_one_upload_may_be_asked_for_twice() -> None:
    """Dependencies that share an upload have one reader."""

    async def name_of(upload: upload_of_file) -> str:
        return upload.filename

    app = application(count, name_of)
    async with FILES.lifespan(app):
        response = await answer(app, files=PDF)

    assert (response.status_code, response.json()) == (200, SIZE)


@pytest.mark.parametrize("endpoint", [count, count_all])
@pytest.mark.parametrize("reader", [spend, parse])
async def test_a_body_that_is_spent_is_a_problem(endpoint: Callable[..., Any], reader: Callable[..., Any]) -> None:
    """An upload after a dependency that has read the body and kept nothing is a 500 at once."""
    problem_in(await answer(application(endpoint, reader), files=PDF), 500, "configuration-error")


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        (count, {"files": PDF}),
        (count, {"content": b"%PDF" * (SIZE // 4), "headers": {"content-type": "application/pdf"}}),
        (count_all, {"files": PDF}),
    ],
)
async def test_a_body_that_is_kept_is_read_again(endpoint: Callable[..., Any], sent: dict[str, Any]) -> None:
    """After `await request.body()` in a dependency, an upload has the same bytes."""
    response = await answer(application(endpoint, sign), **sent)

    assert (response.status_code, response.json()) == (200, SIZE)


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_kept_has_its_limit(chunked: bool) -> None:
    """What is in memory already is refused for its size all the same, with and without a Content-Length."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100_001

    content: Any = chunks() if chunked else b"x" * 100_001
    headers = {"content-type": "application/pdf"}

    problem_in(await answer(application(count, sign), content=content, headers=headers), 413, "upload-too-large")


async def test_who_reads_after_an_upload_hears_so() -> None:
    """The rest of a body is the upload's: who asks for it has Starlette's error instead of half of it."""

    async def late(upload: upload_of_file, request: Request) -> None:
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()

    assert (await answer(application(late), files=PDF)).status_code == 200


async def test_the_prebuilt_router_shares_a_body(serve: Serve) -> None:
    """Its routes read what a dependency has kept, and are a problem after one that has not."""

    def build(app: FastAPI, files: Filestore) -> None:
        for prefix, reader in (("/signed", sign), ("/spent", spend)):
            app.include_router(files.router(Document, dependencies=[Depends(reader)]), prefix=prefix)

    async with serve(build=build) as site, asyncio.timeout(5):
        created = await site.upload("/signed/")
        changed = await site.client.patch("/signed/1", json={"title": "new"})
        spent = [await site.upload("/spent/"), await site.client.patch("/spent/1", json={"title": "newer"})]

        assert (created.status_code, changed.json()["title"]) == (201, "new")
        for response in spent:
            problem_in(response, 500, "configuration-error")
        await site.check()
