"""One response for every file: conditions, ranges and headers, over a route."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from fastapi_filestore import FileObject, Filestore, ObstoreBackend, storages
from fastapi_filestore.testing import FaultyBackend
from fastapi_filestore.web.serving.downloads import download

CONTENT = bytes(range(256)) * 40
TAG = f'"{sha256(CONTENT).hexdigest()}"'


@pytest.fixture
def backend() -> Iterator[FaultyBackend]:
    """A backend in memory that counts what it is asked."""
    backend = FaultyBackend(ObstoreBackend("downloads", fs="memory://"), lambda call, operation: False)
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("downloads")


@pytest.fixture
async def file(backend: FaultyBackend) -> FileObject:
    """A stored file of 10,240 bytes."""
    file = await FileObject("downloads", "ä.bin", content=CONTENT).save_async()
    backend.calls.clear()
    return file


@pytest.fixture
async def client(file: FileObject) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that serves the file."""
    app = FastAPI(exception_handlers=Filestore().exception_handlers)

    @app.get("/file")
    async def read(request: Request) -> Response:
        return await download(request, file)

    @app.head("/file")
    async def read_head(request: Request) -> Response:
        return await download(request, file)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_whole_file_says_what_it_is(client: httpx.AsyncClient) -> None:
    """GET without conditions sends the bytes with every header that describes them."""
    answer = await client.get("/file")

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["etag"] == TAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["repr-digest"] == f"sha-256=:{b64encode(sha256(CONTENT).digest()).decode()}:"


async def test_head_says_what_get_would(client: httpx.AsyncClient) -> None:
    """HEAD has GET's headers and no body, and ignores a range."""
    get, head = await client.get("/file"), await client.head("/file", headers={"Range": "bytes=0-1"})

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(("asked", "start", "end"), [("0-99", 0, 100), ("-10", 10230, 10240), ("10000-", 10000, 10240)])
async def test_a_range_is_sent_alone(client: httpx.AsyncClient, asked: str, start: int, end: int) -> None:
    """One range comes as 206 with its bytes, its Content-Range and its length."""
    answer = await client.get("/file", headers={"Range": f"bytes={asked}"})

    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/10240"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["etag"] == TAG


async def test_several_ranges_come_in_parts(client: httpx.AsyncClient) -> None:
    """Several ranges come as multipart/byteranges, each part with its own range, and the length is right."""
    answer = await client.get("/file", headers={"Range": "bytes=-5,0-3,100-102"})
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", answer.headers["content-type"])

    assert answer.status_code == 206
    assert boundary is not None
    parts = answer.content.split(f"--{boundary[1]}".encode())[1:-1]
    bodies = [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts]
    assert bodies == [CONTENT[-5:], CONTENT[:4], CONTENT[100:103]]
    assert [re.search(rb"Content-Range: (.*)\r", part)[1] for part in parts] == [  # type: ignore[index]
        b"bytes 10235-10239/10240", b"bytes 0-3/10240", b"bytes 100-102/10240",
    ]  # fmt: skip
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_a_range_after_the_end_is_a_problem(client: httpx.AsyncClient) -> None:
    """A range that begins after the end is 416 and told the size."""
    answer = await client.get("/file", headers={"Range": "bytes=20000-"})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10240")
    assert answer.json()["size"] == 10240


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_unchanged_file_is_not_sent(client: httpx.AsyncClient, backend: FaultyBackend, method: str) -> None:
    """If-None-Match with the tag is 304, without a question to the store and without headers about bytes."""
    answer = await client.request(method, "/file", headers={"If-None-Match": TAG, "Range": "bytes=0-1"})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", TAG)
    assert "content-type" not in answer.headers
    assert backend.calls == []


async def test_a_changed_file_fails_its_precondition(client: httpx.AsyncClient) -> None:
    """If-Match with another tag is a 412 problem."""
    answer = await client.get("/file", headers={"If-Match": '"another"'})

    assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")


@pytest.mark.parametrize(("condition", "status"), [(TAG, 206), ('"another"', 200), (f"W/{TAG}", 200)])
async def test_a_range_of_another_state_is_sent_whole(client: httpx.AsyncClient, condition: str, status: int) -> None:
    """If-Range resumes the same file and restarts a changed one."""
    answer = await client.get("/file", headers={"Range": "bytes=0-9", "If-Range": condition})

    assert answer.status_code == status


async def test_a_date_resumes_nothing(client: httpx.AsyncClient) -> None:
    """If-Range with the file's own date restarts it: the date says nothing about the second that it names."""
    date = (await client.get("/file")).headers["last-modified"]
    answer = await client.get("/file", headers={"Range": "bytes=0-9", "If-Range": date})

    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_lines_of_a_condition_are_one_list(client: httpx.AsyncClient, name: str) -> None:
    """A tag in the first line counts as one in the last, for GET and HEAD (RFC 9110, section 5.3)."""
    found = {"If-Match": 200, "If-None-Match": 304}[name]
    for lines in ([TAG, '"x"'], ['"x"', TAG]):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/file", headers=[(name, line) for line in lines])

            assert answer.status_code == found


async def test_a_download_asks_the_store_once(client: httpx.AsyncClient, backend: FaultyBackend) -> None:
    """Whole or in one range, a file costs one request to the store."""
    await client.get("/file")
    await client.get("/file", headers={"Range": "bytes=5-9"})

    assert backend.calls == ["open", "open"]


async def test_a_file_of_unknown_size_has_ranges_too(client: httpx.AsyncClient, file: FileObject) -> None:
    """A row that never knew its size, as advanced-alchemy's, is asked of the store."""
    file.size = file.checksum = None
    answer = await client.get("/file", headers={"Range": "bytes=-4"})

    assert (answer.status_code, answer.content) == (206, CONTENT[-4:])
    assert "repr-digest" not in answer.headers


async def test_a_store_that_is_down_is_no_download(client: httpx.AsyncClient, backend: FaultyBackend) -> None:
    """A store that can't be reached is 503 with Retry-After."""
    backend.fails = lambda call, operation: True
    answer = await client.get("/file", headers={"Range": "bytes=0-9,20-29"})

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
