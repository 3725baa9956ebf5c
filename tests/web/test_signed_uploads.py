"""Uploads by signed URLs of the application: once, of one type, whole, and within the limit."""

from base64 import b64encode
from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from typing import Any

import pytest

from fastapi_filestore import FileObject, ObjectInfo, WrappedBackend, read_content, storages
from fastapi_filestore.storage.content import Content
from tests.web.signing import backend, site
from tests.web.site import Site, problem_in

__all__ = ["backend", "site"]


async def test_a_signed_url_uploads_once(site: Site) -> None:
    """PUT stores the body; another one is a 409 that changes nothing."""
    file = FileObject("web", "a.txt", content_type="text/plain")
    ticket = await file.signed_url_async(method="PUT")
    first = await site.client.put(ticket.url, content=b"first", headers=dict(ticket.headers))
    second = await site.client.put(ticket.url, content=b"second", headers=dict(ticket.headers))

    assert first.status_code == 201
    problem_in(second, 409, "object-exists")
    assert await (await file.confirm_async()).get_content_async() == b"first"


@pytest.mark.parametrize(
    ("headers", "absent", "present"),
    [
        ({"If-Match": '"x"'}, 412, 412),
        ({"If-Match": "*"}, 412, 409),
        ({"If-None-Match": "*"}, 201, 412),
        ({"If-None-Match": '"x"'}, 201, 409),
        ({"If-Unmodified-Since": "Sun, 22 Nov 1998 12:00:00 GMT"}, 201, 412),
    ],
)
async def test_an_upload_heeds_conditions(site: Site, headers: dict[str, str], absent: int, present: int) -> None:
    """A state that is not the one asked for is a 412, before anything is stored and where there is a file already."""
    ticket = await FileObject("web", "a.txt").signed_url_async(method="PUT")
    send = partial(site.client.put, ticket.url, content=b"bytes")
    first = await send(headers={**ticket.headers, **headers})
    assert len(await site.keys()) == (absent == 201)
    await send(headers=dict(ticket.headers))
    second = await send(headers={**ticket.headers, **headers})

    assert (first.status_code, second.status_code) == (absent, present)
    if present == 412:
        problem_in(second, 412, "precondition-failed")


async def test_an_upload_that_must_be_the_first_loses_a_race(site: Site) -> None:
    """With `If-None-Match: *` it is a 412, too, if another client stores the file while this one is on its way."""
    file = FileObject("web", "a.txt")
    ticket = await file.signed_url_async(method="PUT")

    async def slow() -> AsyncIterator[bytes]:
        await site.client.put(ticket.url, content=b"fast", headers=dict(ticket.headers))
        yield b"slow"

    response = await site.client.put(ticket.url, content=slow(), headers={**ticket.headers, "If-None-Match": "*"})

    problem_in(response, 412, "precondition-failed")
    assert await (await file.confirm_async()).get_content_async() == b"fast"


@pytest.mark.parametrize("kept", [0, 3])
async def test_an_upload_that_is_not_kept_whole(site: Site, kept: int) -> None:
    """A backend that stores less than the body, and says so or not, makes no object; the URL can be used again."""

    class Half(WrappedBackend):
        async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
            body = b"".join([chunk async for chunk in read_content(content)])
            return await super().put(path, body[:kept], **options)

    ticket = await FileObject("web", "a.txt").signed_url_async(method="PUT")
    storages.register_backend(Half(site.backend), replace=True)
    failed = await site.client.put(ticket.url, content=b"all of it", headers=dict(ticket.headers))
    storages.register_backend(site.backend, replace=True)

    problem_in(failed, 500, "store-error")
    assert await site.keys() == set()
    assert (await site.client.put(ticket.url, content=b"all", headers=dict(ticket.headers))).status_code == 201


async def test_an_upload_may_be_empty(site: Site) -> None:
    """A body of no bytes is a file."""
    file = FileObject("web", "a.txt")
    ticket = await file.signed_url_async(method="PUT")

    assert (await site.client.put(ticket.url, content=b"", headers=dict(ticket.headers))).status_code == 201
    assert (await file.confirm_async()).size == 0


@pytest.mark.parametrize("content_type", [None, "text/html", "text/plain; charset=utf-8", "text/plainer", "image/png"])
async def test_an_upload_of_another_type_is_refused(site: Site, content_type: str | None) -> None:
    """The type is inside the signature."""
    ticket = await FileObject("web", "a.txt", content_type="text/plain").signed_url_async(method="PUT")
    headers = {} if content_type is None else {"content-type": content_type}

    problem_in(await site.client.put(ticket.url, content=b"x", headers=headers), 415, "unsupported-upload")
    assert await site.keys() == set()


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_upload_past_the_limit_is_refused(site: Site, chunked: bool) -> None:
    """A body over the limit is a 413 that leaves nothing, with and without a Content-Length."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    ticket = await FileObject("web", "a.txt").signed_url_async(method="PUT")
    content: Any = chunks() if chunked else b"x" * 1001
    response = await site.client.put(ticket.url, content=content, headers=dict(ticket.headers))

    problem_in(response, 413, "upload-too-large")
    assert await site.keys() == set()


RIGHT, WRONG = (f"sha-256=:{b64encode(sha256(content).digest()).decode()}:" for content in (b"whole", b"damaged"))


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ([("Content-Digest", WRONG)], 400, "digest-mismatch"),
        ([("Repr-Digest", WRONG)], 400, "digest-mismatch"),
        ([("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], 400, "digest-mismatch"),
        ([("Content-Digest", RIGHT), ("Content-Digest", WRONG)], 400, "malformed-upload"),
        ([("Content-Digest", "nonsense")], 400, "malformed-upload"),
        ([("Content-Range", "bytes 0-4/10")], 400, "malformed-upload"),
        ([("Content-Encoding", "gzip")], 415, "unsupported-upload"),
    ],
)
async def test_an_upload_that_is_not_the_whole_file_is_refused(
    site: Site, headers: list[tuple[str, str]], status: int, name: str
) -> None:
    """Damaged bytes, a part of a file and coded bytes leave nothing, and the URL is still good for the file."""
    ticket = await FileObject("web", "a.txt").signed_url_async(method="PUT")
    send = partial(site.client.put, ticket.url, content=b"whole")
    refused = await send(headers=[*ticket.headers.items(), *headers])

    problem_in(refused, status, name)
    assert await site.keys() == set()
    assert (await send(headers={**ticket.headers, "Content-Digest": RIGHT})).status_code == 201
