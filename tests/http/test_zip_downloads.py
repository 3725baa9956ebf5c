"""Many files as one archive, over a route: what it has, what it says in advance, and how it breaks off."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zipfile import BadZipFile, ZipFile

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from fastapi_filestore import FileObject, Filestore, NotAFileError, ObstoreBackend, StorageUnavailableError, storages
from fastapi_filestore.testing import FaultyBackend
from fastapi_filestore.web.serving.zip_downloads import ZippedFiles

CONTENTS = {"a.txt": b"first", "ä.bin": bytes(range(256)) * 4096, "empty": b"", "A.txt": b"last"}
NAMES = ["a.txt", "ä.bin", "empty", "A (2).txt"]


@pytest.fixture
def backend() -> Iterator[FaultyBackend]:
    """A backend in memory that counts what it is asked, and fails as a test says."""
    backend = FaultyBackend(ObstoreBackend("zipped", fs="memory://"), lambda call, operation: False)
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("zipped")


@pytest.fixture
async def stored(backend: FaultyBackend) -> list[FileObject]:
    """Stored files."""
    files = [await FileObject("zipped", name, content=content).save_async() for name, content in CONTENTS.items()]
    backend.calls.clear()
    return files


Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    """Ask an application for an archive of what is given."""
    files = Filestore()
    app = FastAPI(exception_handlers=files.exception_handlers)
    given: list[ZippedFiles] = []

    @app.api_route("/zip", methods=["GET", "HEAD", "POST"])
    async def read(request: Request) -> Response:
        return await files.zip_download(request, given[-1], filename="Über/all.zip")

    async def send(chosen: ZippedFiles, method: str = "GET", **headers: str) -> httpx.Response:
        given.append(chosen)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, "/zip", headers=headers)

    return send


async def one_by_one(files: list[Any]) -> AsyncIterator[Any]:
    """Give files as a database does that is read meanwhile."""
    for file in files:
        yield file


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_archive_of_files(stored: list[FileObject], ask: Ask, method: str) -> None:
    """All files are in it under names of their own, and its length was told before."""
    answer = await ask((file for file in stored), method, Range="bytes=0-5")
    with ZipFile(io.BytesIO(answer.content)) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}

    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert contents == dict(zip(NAMES, CONTENTS.values(), strict=True))
    assert answer.headers["content-disposition"] == 'attachment; filename="all.zip"'
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["accept-ranges"] == "none"


async def test_an_asynchronous_iterable_is_read_while_it_is_sent(stored: list[FileObject], ask: Ask) -> None:
    """The archive is the same; nobody knows its length before."""
    answer = await ask(one_by_one(stored))

    assert ZipFile(io.BytesIO(answer.content)).namelist() == NAMES
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("name", ["size", "last_modified"])
async def test_a_row_that_does_not_know_all_of_a_file(stored: list[FileObject], ask: Ask, name: str) -> None:
    """A file of which the row lacks the size or the time is in the archive, whose length is not told."""
    setattr(stored[1], name, None)
    answer = await ask(stored)

    assert ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert "content-length" not in answer.headers


async def test_paths_and_folders_of_ones_own(stored: list[FileObject], ask: Ask) -> None:
    """A pair names a file or its folder, safely; None is passed over."""
    first, second, *_ = stored
    answer = await ask([("2026/May.txt", first), None, ("2026/", second), ("../../x", first), first])

    names = ZipFile(io.BytesIO(answer.content)).namelist()
    assert names == ["2026/May.txt", "2026/ä.bin", "x", "a.txt"]


async def test_times_are_those_of_the_files(stored: list[FileObject], ask: Ask) -> None:
    """An entry has the time of its file."""
    stored[0].last_modified = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    answer = await ask(stored[:1])

    assert ZipFile(io.BytesIO(answer.content)).infolist()[0].date_time == (2020, 2, 3, 4, 5, 6)


async def test_head_reads_nothing(stored: list[FileObject], ask: Ask, backend: FaultyBackend) -> None:
    """HEAD has the headers of GET, and asks the store for no bytes."""
    whole, head = await ask(stored), await ask(stored, "HEAD")
    calls = backend.calls[len(stored) :]
    unknown = await ask(one_by_one(stored), "HEAD")

    assert (head.status_code, dict(head.headers)) == (200, dict(whole.headers))
    assert (calls, "content-length" in unknown.headers) == (["head"], False)


async def test_no_files_are_an_archive_of_none(ask: Ask, backend: FaultyBackend) -> None:
    """An archive of nothing is an archive."""
    chosen: list[ZippedFiles] = [[], None, [None], one_by_one([None])]
    for files in chosen:
        answer = await ask(files)

        assert (answer.status_code, ZipFile(io.BytesIO(answer.content)).namelist()) == (200, [])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("lazily", [True, False])
async def test_a_first_file_that_is_lost_is_a_status(
    stored: list[FileObject], ask: Ask, method: str, *, lazily: bool
) -> None:
    """Before the response begins, a missing object is told as by a download of it."""
    await stored[0].backend_in_use().delete(str(stored[0].path))
    answer = await ask(one_by_one(stored) if lazily else stored, method)

    assert answer.status_code == 404


async def test_a_store_that_is_down_is_a_status(stored: list[FileObject], ask: Ask, backend: FaultyBackend) -> None:
    """An outage before the response begins is a 503."""
    backend.fails = lambda call, operation: True
    answer = await ask(stored)

    assert (answer.status_code, answer.headers["retry-after"].isdigit()) == (503, True)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [(FileObject(content=b"x"), "application-error"), ("a.txt", "not-a-file"), (("a", b""), "not-a-file")],
)
async def test_what_is_no_stored_file(
    stored: list[FileObject], ask: Ask, backend: FaultyBackend, wrong: Any, problem: str
) -> None:
    """A mistake anywhere in a list is told before anything is sent, or read."""
    answer = await ask([*stored, wrong])

    assert answer.status_code == 500
    assert answer.json()["type"].endswith(problem)
    assert backend.calls == []


@pytest.mark.parametrize("wrong", [FileObject(path="a"), 1])
async def test_what_is_no_list(wrong: Any) -> None:
    """One file, or anything else that is no list of files, is told what to give."""
    with pytest.raises(NotAFileError, match=r"\[file\]"):
        await messages(wrong)


@pytest.mark.parametrize("lazily", [True, False])
@pytest.mark.parametrize("after", [True, False])
async def test_a_store_that_fails_later_breaks_it_off(
    stored: list[FileObject], backend: FaultyBackend, *, lazily: bool, after: bool
) -> None:
    """What was sent has no end, neither of the response nor of the archive."""
    backend.fails, backend.after = lambda call, operation: call == 2, after
    sent = await messages(one_by_one(stored) if lazily else stored)

    assert sent[-1]["more_body"] is True
    with pytest.raises(BadZipFile):
        ZipFile(io.BytesIO(b"".join(message.get("body", b"") for message in sent)))


async def test_a_file_that_vanishes_or_shrinks_meanwhile_breaks_it_off(stored: list[FileObject]) -> None:
    """An object that is gone, or of another size, when its turn comes leaves no archive that looks whole."""
    store = stored[-1].backend_in_use()
    for spoil in (store.put(str(stored[-1].path), b"other bytes"), store.delete(str(stored[-1].path))):
        await spoil
        sent = await messages(stored)

        assert sent[-1]["more_body"] is True


async def messages(files: ZippedFiles) -> list[Any]:
    """Return what a server is given to send."""
    scope = {"type": "http", "method": "GET", "headers": [], "path": "/"}
    response = await Filestore().zip_download(Request(scope), files)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await response(scope, Request(scope).receive, send)
    return sent


async def test_what_a_client_leaves_is_closed(stored: list[FileObject]) -> None:
    """When the client goes, the file that is open and the iterable that gives the next are closed at once."""
    closed: list[bool] = []

    async def give() -> AsyncIterator[FileObject]:
        try:
            for file in stored:
                yield file
        finally:
            closed.append(True)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError

    scope = {"type": "http", "method": "GET", "headers": [], "path": "/"}
    response = await Filestore().zip_download(Request(scope), give())
    await response(scope, Request(scope).receive, send)

    assert closed == [True]


async def test_an_iterable_that_fails_is_a_status(stored: list[FileObject], ask: Ask) -> None:
    """What fails in the application's own iterable before the first file is told as a failure of the request."""

    async def give() -> AsyncIterator[FileObject]:
        for number, file in enumerate(stored):
            if number == 0:
                raise StorageUnavailableError("no list")
            yield file

    answer = await ask(give())

    assert answer.status_code == 503
