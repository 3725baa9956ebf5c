"""`FastAPI(max_body_size=…)` beside uploads, which have limits of their own."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, FastAPI, HTTPException
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_filestore import FileObject, FileService, Filestore, Upload, Uploads
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in

LIMIT = 50_000
ROUTE_LIMIT = 100_000
CONTENT = bytes(700_000)
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


class Grouping(BaseHTTPMiddleware):
    """Reads requests in tasks of its own, as many middlewares of users do."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Pass on a request."""
        return await call_next(request)


class Refusing:
    """Refuses bodies by itself, with a status of its own."""

    def __init__(self, app: ASGIApp, status: int) -> None:
        self._app, self._status = app, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is longer than the limit."""
        received = 0

        async def refuse() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LIMIT:
                raise HTTPException(self._status, "Too much.")
            return message

        await self._app(scope, refuse, send)


def routes(app: FastAPI, files: Filestore) -> None:
    """Mount the router, the signed router, and routes of the user's own."""
    service_type = Annotated[FileService[Document], Depends(files.service(Document))]

    @app.post("/own/")
    async def create(service: service_type, upload: Annotated[Upload, Depends(files.upload())]) -> dict[str, Any]:
        row = await service.create({"title": "own", "file": upload})
        size = row.file and row.file.size
        await service.commit()
        return {"size": size}

    @app.post("/narrow/", max_body_size=ROUTE_LIMIT)
    async def narrow(service: service_type, upload: Annotated[Upload, Depends(files.upload())]) -> None:
        await service.create({"title": "t", "file": upload})
        await service.commit()

    @app.post("/several/")
    async def several(uploads: Annotated[Uploads, Depends(files.uploads("file", max_files=2))]) -> int:
        return sum([len(chunk) async for upload in uploads async for chunk in upload])

    @app.post("/text/")
    async def text(said: Annotated[str, Body()]) -> int:
        return len(said)

    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.signed_router())


def limited(app: FastAPI, files: Filestore) -> None:
    """The same in an application with a limit."""
    FastAPI.__init__(app, max_body_size=LIMIT, exception_handlers=files.exception_handlers)
    routes(app, files)


def grouped(app: FastAPI, files: Filestore) -> None:
    """The same behind a middleware that reads in tasks of its own."""
    limited(app, files)
    app.add_middleware(Grouping)


@pytest.fixture(params=[limited, grouped])
async def site(serve: Serve, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """An application with a limit."""
    async with serve(build=request.param, signing_keys=[SIGNING_KEY], max_upload_size=1_000_000, shared=True) as site:
        yield site
        await site.check()


def announced(content: bytes, *, with_title: bool = True) -> Any:
    """Return a form as one piece, whose length is told before."""
    return (TITLE if with_title else b"") + FILE + content + b"\r\n--b--\r\n"


async def chunked(content: bytes, **options: bool) -> AsyncIterator[bytes]:
    """Yield a form piece by piece, whose length nobody knows."""
    whole = announced(content, **options)
    for start in range(0, len(whole), 30_000):
        yield whole[start : start + 30_000]


@pytest.mark.parametrize("form", [announced, chunked])
async def test_uploads_have_limits_of_their_own(site: Site, form: Any) -> None:
    """The router's routes, and those with an upload of ours, take what the application's limit would refuse."""
    created = await site.client.post("/documents/", content=form(CONTENT), headers=BOUNDARY)
    url = f"/documents/{created.json()['id']}/file"
    replaced = await site.client.put(url, content=form(CONTENT, with_title=False), headers=BOUNDARY)
    await site.client.delete(f"/documents/{created.json()['id']}")
    own = await site.client.post("/own/", content=form(CONTENT), headers=BOUNDARY)
    several = await site.client.post("/several/", content=form(CONTENT), headers=BOUNDARY)

    assert (created.status_code, created.json()["file"]["size"]) == (201, len(CONTENT))
    assert replaced.status_code == 200, replaced.text
    assert (own.status_code, own.json()) == (200, {"size": len(CONTENT)})
    assert (several.status_code, several.json()) == (200, len(CONTENT))


async def test_signed_urls_have_limits_of_their_own(site: Site) -> None:
    """A signed URL takes what the application's limit would refuse."""
    file = FileObject("web", "a.bin")
    url = await file.sign_async(for_upload=True)
    answer = await site.client.put(url, content=CONTENT, headers={"Content-Type": file.content_type})

    assert answer.status_code == 201
    assert (await site.backend.head(str(file.path))).size == len(CONTENT)
    await site.backend.delete(str(file.path))


@pytest.mark.parametrize("url", ["/documents/", "/own/", "/several/"])
@pytest.mark.parametrize("form", [announced, chunked])
async def test_our_limit_holds(site: Site, url: str, form: Any) -> None:
    """What is longer than an upload may be is refused with our problem, and nothing is left."""
    answer = await site.client.post(url, content=form(bytes(3_000_000)), headers=BOUNDARY)

    assert problem_in(answer, 413, "upload-too-large")["limit"] < 2_000_000
    await site.check_empty()


async def test_fields_have_their_own_limit(site: Site) -> None:
    """Fields that come as JSON are refused by their own limit, with our problem."""
    row = (await site.upload()).json()
    fields = b'{"title": "' + b"x" * 100_000 + b'"}'
    answer = await site.client.patch(
        f"/documents/{row['id']}", content=fields, headers={"Content-Type": "application/json"}
    )

    assert problem_in(answer, answer.status_code, "invalid-fields" if answer.status_code == 422 else "upload-too-large")


@pytest.mark.parametrize("form", [announced, chunked])
async def test_a_limit_of_the_route_stays(site: Site, form: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A limit that a route of the user's own carries holds: our problem tells it, quietly, and nothing is left."""
    taken = await site.client.post("/narrow/", content=form(bytes(60_000)), headers=BOUNDARY)
    await site.client.delete("/documents/1")
    caplog.clear()
    answer = await site.client.post("/narrow/", content=form(CONTENT), headers=BOUNDARY)

    assert taken.status_code == 200
    assert problem_in(answer, 413, "upload-too-large")["limit"] == ROUTE_LIMIT
    assert [record for record in caplog.records if record.exc_info] == []
    await site.check_empty()


@pytest.mark.parametrize("form", [announced, chunked])
async def test_other_routes_keep_the_applications_limit(site: Site, form: Any) -> None:
    """Routes without an upload of ours refuse as before."""
    answer = await site.client.post("/text/", content=form(CONTENT), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize("method", ["GET", "DELETE", "TRACE", "PUT"])
@pytest.mark.parametrize("form", [announced, chunked])
async def test_a_body_that_nobody_wants(site: Site, method: str, form: Any) -> None:
    """A request that needs no body is answered as without one, however long it is, and quietly."""
    answer = await site.client.request(method, "/documents/7", content=form(CONTENT), headers=BOUNDARY)

    problem_in(answer, *((404, "row-not-found") if method in {"GET", "DELETE"} else (405, "method-not-allowed")))


@pytest.mark.parametrize("status", [408, 413, 429])
@pytest.mark.parametrize("url", ["/documents/", "/own/", "/several/"])
async def test_a_refusal_of_a_middleware(serve: Serve, status: int, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a middleware of the user's own refuses is answered as it says, quietly, and nothing is left."""

    def build(app: FastAPI, files: Filestore) -> None:
        routes(app, files)
        app.add_middleware(Refusing, status=status)

    async with serve(build=build) as site:
        answer = await site.client.post(url, content=chunked(CONTENT), headers=BOUNDARY)

        assert (answer.status_code, answer.json()) == (status, {"detail": "Too much."})
        assert [record for record in caplog.records if record.exc_info] == []
        await site.check_empty()
