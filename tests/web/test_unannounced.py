"""Bodies that no header announces, as HTTP APIs hand them on: a Lambda behind Mangum has them whole, or none."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import begin

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncontent\r\n--b--\r\n'
)
MULTIPART = "multipart/form-data; boundary=b"


async def invoke(app: FastAPI, method: str, url: str, body: bytes, content_type: str) -> Response:
    """Call an application as Mangum does for an event of an HTTP API without a Content-Length."""
    path, _, query = url.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "http_version": "1.1",
        "headers": [[b"host", b"api.example"], [b"content-type", content_type.encode()]],
        "path": path,
        "raw_path": None,
        "root_path": "",
        "scheme": "https",
        "query_string": query.encode(),
        "server": ("api.example", 443),
        "client": ("192.0.2.1", 0),
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "aws.event": {},
        "aws.context": {},
    }
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            incoming.put_nowait({"type": "http.disconnect"})

    await asyncio.wait_for(app(scope, incoming.get, send), 20)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


async def test_a_form_is_read(site: Site) -> None:
    """A new row has its file, and a later form replaces it."""
    created = await invoke(site.app, "POST", "/documents/", FORM, MULTIPART)
    replaced = await invoke(
        site.app,
        "PUT",
        "/documents/1/file",
        FORM.replace(b'"title"', b'"_charset_"').replace(b"\r\nt\r\n", b"\r\nutf-8\r\n"),
        MULTIPART,
    )

    assert (created.status_code, created.json()["file"]["size"]) == (201, 7)
    assert replaced.status_code == 200, replaced.text


async def test_a_file_is_read(site: Site) -> None:
    """A body that is the file itself replaces another."""
    await site.upload()
    replaced = await invoke(site.app, "PUT", "/documents/1/file", b"0123", "text/plain")

    assert (replaced.status_code, replaced.json()["file"]["size"]) == (200, 4)


async def test_a_change_is_read(site: Site) -> None:
    """So is JSON."""
    await site.upload()
    changed = await invoke(site.app, "PATCH", "/documents/1", b'{"title": "new"}', "application/json")

    assert (changed.status_code, changed.json()["title"]) == (200, "new")


async def test_a_signed_upload_is_read(serve: Serve) -> None:
    """A signed PUT stores the body."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, uploads=True), prefix="/documents")
        app.include_router(files.signed_router())

    async with serve(build=build, signing_keys=[SIGNING_KEY]) as site:
        upload = await begin(site.client)
        stored = await invoke(site.app, "PUT", upload["direct"]["url"], b"0123", "text/plain")

        assert stored.status_code == 201, stored.text


@pytest.mark.parametrize(
    ("method", "url", "content_type"),
    [
        ("POST", "/documents/", MULTIPART),
        ("PUT", "/documents/1/file", "text/plain"),
        ("PATCH", "/documents/1", "application/json"),
    ],
)
async def test_no_body_is_told(site: Site, method: str, url: str, content_type: str) -> None:
    """A request without a body is told that one is missing."""
    await site.upload()
    problem_in(await invoke(site.app, method, url, b"", content_type), 411, "length-required")


async def test_a_body_that_is_too_large_is_refused(serve: Serve) -> None:
    """The limit holds without a Content-Length, too."""
    async with serve(max_upload_size=3) as site:
        await site.upload(content=b"x")
        problem_in(await invoke(site.app, "PUT", "/documents/1/file", b"0123", "text/plain"), 413, "upload-too-large")
