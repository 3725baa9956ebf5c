"""Requests that are nearly right: each is told what is wrong with it, and what would be right."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import AT, begin, put, send

JSON = {"Content-Type": "application/json"}


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    """Send content without a length, some bytes at a time."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("announced", [{"size": True}, {"size": "5"}, {"size": 5.5}, {"parts": "yes"}, {"parts": 1}])
async def test_a_value_of_another_type(site: Site, announced: dict[str, Any]) -> None:
    """What is announced as a number of bytes is one, and no text or truth."""
    answer = await site.client.post(AT, json={"filename": "a", **announced})

    assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"] == list(announced)


@pytest.mark.parametrize("value", [5, True, None, {}])
async def test_an_id_that_is_no_text(site: Site, value: object) -> None:
    """The client is told what an id is."""
    answer = await site.client.post("/documents/", json={"title": "t", "upload": value})

    assert "Name an upload by its id" in problem_in(answer, 422, "invalid-fields")["detail"]


@pytest.mark.parametrize("body", [{}, {"uploads": "x"}, [], {"upload": "x" * 43, "title": "t"}])
async def test_json_that_is_no_claim(site: Site, body: Any) -> None:
    """Where a column takes no JSON, the client is told how a claim looks, too."""
    cover = await send(site.client, at="/books/uploads")
    book = await site.client.post("/books/", json={"title": "t", "upload": cover["id"]})
    answer = await site.client.put(f"{book.headers['location']}/file", json=body)

    problem = problem_in(answer, 415, "unsupported-upload")
    assert problem["expected"] == ["text/plain"]
    assert '{"upload": "…"} and nothing else' in problem["detail"]


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 30, "9" * 40, str(2**63 - 1)], ids=len)
async def test_a_length_past_counting(site: Site, digits: str) -> None:
    """It is too large, like any other length past the limit, which is told."""
    answer = await site.client.post(AT, headers={"Tus-Resumable": "1.0.0", "Upload-Length": digits})

    assert problem_in(answer, 413, "upload-too-large")["limit"] == 2**30


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_methods_of_an_upload(site: Site, method: str) -> None:
    """One that only tus could mean by another header is told what there is."""
    upload = await begin(site.client)
    answer = await site.client.request(method, upload["url"], content=b"content")

    problem_in(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"


@pytest.mark.parametrize("size", [7, 1000])
async def test_a_claim_without_a_length(site: Site, size: int) -> None:
    """It is one, in however many pieces it comes."""
    location, upload = (await site.upload()).headers["location"], await send(site.client, b"new")
    claim = b'{"upload": "%s"}' % upload["id"].encode()
    answer = await site.client.put(f"{location}/file", content=pieces(claim, size), headers=JSON)

    assert (answer.status_code, answer.json()["file"]["size"]) == (200, 3), answer.text
    assert (await site.client.get(f"{location}/file")).content == b"new"


@pytest.mark.parametrize("content", [b"{}", b'{"upload": 1, "b": 2}', b'{"upload": "%s"}' % (b"a" * 50_000), b"[" * 9])
async def test_a_file_of_json_without_a_length(site: Site, content: bytes) -> None:
    """Any other JSON is a file, byte for byte, whether it is longer than a claim or not."""
    location = (await site.upload()).headers["location"]
    answer = await site.client.put(f"{location}/file", content=pieces(content, 7000), headers=JSON)

    assert (answer.status_code, answer.json()["file"]["size"]) == (200, len(content)), answer.text
    assert (await site.client.get(f"{location}/file")).content == content


async def test_a_list_takes_a_claim_without_a_length(site: Site) -> None:
    """So does a column of several files."""
    album, photo = (
        await site.client.post("/albums/", json={}),
        await send(site.client, at="/albums/uploads", field="photos"),
    )
    claim = b'{"upload": ["%s"]}' % photo["id"].encode()
    place = f"{album.headers['location']}/photos"

    assert (await site.client.post(place, content=pieces(claim, 9), headers=JSON)).status_code == 201


def unsigned(app: FastAPI, files: Filestore) -> None:
    """Mount documents with uploads, and no route of signed URLs."""
    app.include_router(files.router(Document, uploads=True), prefix="/documents")


async def test_without_a_route_of_signed_urls(serve: Serve) -> None:
    """A URL that nothing answers is not told; with the address of another application it is."""
    async with serve(build=unsigned, signing_keys=[SIGNING_KEY]) as site:
        assert (await begin(site.client))["direct"] is None
        await site.check()
    async with serve(build=unsigned, signing_keys=[SIGNING_KEY], public_url="https://files.example") as site:
        assert (await begin(site.client))["direct"]["url"].startswith("https://files.example/filestore?sig=")


async def test_the_url_of_a_path_is_below_the_application(site: Site) -> None:
    """It is one that the client resolves against where it asked."""
    upload = await begin(site.client)

    assert upload["direct"]["url"].startswith("/filestore?sig=")
    assert (await put(site.client, upload)).status_code == 201
