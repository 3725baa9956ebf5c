"""Objects that are not what their rows say: a disk that was full, a backup that was cut, a hand that was too quick."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from fastapi_filestore import FileObject, Filestore, ObstoreBackend, storages
from fastapi_filestore.web.serving.downloads import download

CONTENT = bytes(range(256)) * 40
REQUESTS = {
    "whole": ("GET", {}),
    "head": ("HEAD", {}),
    "the beginning": ("GET", {"Range": "bytes=0-9"}),
    "the end": ("GET", {"Range": "bytes=-1"}),
    "past the real end": ("GET", {"Range": "bytes=10000-"}),
    "several": ("GET", {"Range": "bytes=0-9,100-109"}),
    "several past the real end": ("GET", {"Range": "bytes=10000-10009,10100-"}),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """The folder of a backend."""
    storages.register_backend(ObstoreBackend("damaged", fs=tmp_path))
    yield tmp_path
    storages.unregister_backend("damaged")


@pytest.fixture
async def file(store: Path) -> FileObject:
    """A stored file of 10,240 bytes."""
    return await FileObject("damaged", "a.bin", content=CONTENT).save_async()


@pytest.fixture
async def client(file: FileObject) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that serves the file."""
    app = FastAPI(exception_handlers=Filestore().exception_handlers)

    @app.get("/file")
    @app.head("/file")
    async def read(request: Request) -> Response:
        return await download(request, file)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("content", [b"", CONTENT[:5000], CONTENT + b"and more"], ids=["empty", "cut", "grown"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_an_object_of_another_size_is_no_download(
    client: httpx.AsyncClient, file: FileObject, store: Path, name: str, content: bytes
) -> None:
    """Neither all of it nor a part is served as what the row describes: it is a problem of the operators."""
    (store / str(file.path)).write_bytes(content)
    method, headers = REQUESTS[name]
    answer = await client.request(method, "/file", headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["cache-control"] == "no-store"
    assert method == "HEAD" or answer.json()["type"] == "urn:fastapi-filestore:store-error"


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_object_of_the_right_size_is_served(client: httpx.AsyncClient, name: str) -> None:
    """The same requests of a file as its row says are answered."""
    method, headers = REQUESTS[name]

    assert (await client.request(method, "/file", headers=headers)).status_code == (206 if headers else 200)


async def test_the_log_says_which_object(
    client: httpx.AsyncClient, file: FileObject, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators learn which object it is and what it should have; the client does not."""
    (store / str(file.path)).write_bytes(b"")
    answer = await client.get("/file")

    assert str(file.path) in caplog.text
    assert "10,240 bytes" in caplog.text
    assert str(file.path) not in answer.text


async def test_a_row_that_knows_no_size_takes_what_is_there(
    client: httpx.AsyncClient, file: FileObject, store: Path
) -> None:
    """A row of another library's, without a size, describes whatever the store has."""
    (store / str(file.path)).write_bytes(b"other")
    file.size = file.checksum = None

    assert (await client.get("/file")).content == b"other"
