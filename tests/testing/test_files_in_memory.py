"""The files of an application in memory, in test runs of its users with the clients and plugins that they have."""

from pathlib import Path

import pytest

from tests.testing.user_runs import run_tests

BEGINNING = """
import asyncio
import pytest
from httpx import ASGITransport, AsyncClient
from app import SENT, Document, Session, app, files, lifespan
from fastapi_filestore import FileObject, ObstoreBackend, StorageUnavailableError, WrappedBackend, storages
from fastapi_filestore.testing import FaultyBackend, assert_no_orphans, assert_stored, assert_stored_async

async def look():
    async with Session() as session:
        row = await session.get(Document, 1)
        assert_stored(row.file, b"hello", filename="a.txt", content_type="text/plain")
        await assert_stored_async(row.file, b"hello")
        await assert_no_orphans(session)

async def upload_and_look():
    transport = ASGITransport(app=app)
    async with lifespan(app), AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/documents/")).json()["items"] == []
        assert [info for backend in storages async for info in backend.list()] == []
        assert (await client.post("/documents/", **SENT)).status_code == 201
        assert (await client.get("/documents/1/file")).content == b"hello"
        await look()
"""

CLIENT = """
from fastapi.testclient import TestClient

@pytest.mark.parametrize("number", range(2))
def test_client(files_in_memory, number):
    with TestClient(app) as client:
        assert client.get("/documents/").json()["items"] == []
        assert client.post("/documents/", **SENT).status_code == 201
        assert client.get("/documents/1/file").content == b"hello"
    asyncio.run(look())  # after the lifespan, too
    assert sorted(files_in_memory) == ["archive", "default", "documents"]

def test_without_a_lifespan(files_in_memory):
    client = TestClient(app)
    assert client.post("/documents/", **SENT).status_code == 201
"""

ANYIO = """
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("number", range(2))
async def test_anyio(files_in_memory, number):
    await upload_and_look()
"""

ASYNCIO = """
import pytest_asyncio

@pytest_asyncio.fixture
async def row(files_in_memory):
    await upload_and_look()

@pytest.mark.asyncio
async def test_fixture(row, files_in_memory):
    assert [info.size async for info in files_in_memory["documents"].list()] == [5]

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(2))
async def test_upload(files_in_memory, number):
    await upload_and_look()
"""

XDIST = """
@pytest.mark.parametrize("number", range(4))
def test_upload(files_in_memory, number):
    asyncio.run(upload_and_look())
"""

STATE = """
import os

def test_what_others_registered(files_in_memory):
    pass

def test_by_hand(tmp_path):
    own = ObstoreBackend("documents", tmp_path)
    storages.register_backend(own, default=True)
    from fastapi_filestore.testing import keeping_files_in_memory
    with keeping_files_in_memory() as backends:
        assert storages.get_backend("documents") is backends["documents"]
        late = ObstoreBackend("late", tmp_path / "late")
        storages.register_backend(late)
        storages.register_backend(FaultyBackend(backends["documents"], lambda call, name: True))
        with pytest.raises(StorageUnavailableError):
            FileObject("documents", "a.txt", content=b"a").save()
        url = FileObject("late", "a.txt", content=b"a").save().sign()
        assert url.startswith("memory://late/")
    assert list(storages) == [own] and storages.default_key == "documents"
    storages.unregister_backend("documents")
    assert not [name for _, _, names in os.walk(tmp_path) for name in names]

def test_settings_of_code(files_in_memory, monkeypatch):
    from fastapi_filestore import Filestore, FilestoreSettings
    monkeypatch.setenv("FILESTORE_BACKENDS__DEFAULT__URL", "s3://other")
    monkeypatch.setenv("FILESTORE_MAX_UPLOAD_SIZE", "7")
    settings = FilestoreSettings(backends={"mine": {"url": "s3://mine"}}, max_upload_size=5, _env_file=None)
    class Wrapped(WrappedBackend):
        pass
    with Filestore(settings=settings, wrap=Wrapped).opened() as own, files.opened():
        assert own.settings.max_upload_size == 5 and files.settings.max_upload_size == 7
        assert type(storages.get_backend("mine")) is Wrapped
        FileObject("mine", "a.txt", content=b"a").save()
    assert [info.size for info in asyncio.run(listed(files_in_memory["mine"]))] == [1]

async def listed(backend):
    return [info async for info in backend.list()]

def test_afterwards():
    assert len(storages) == 0
    from fastapi_filestore import SettingsError
    with pytest.raises(SettingsError, match="nonsense|MAX_UPLOAD_SIZE"):
        files.settings
"""

RUNS = {
    "in plain tests": (CLIENT + STATE, 7),
    "in asynchronous tests": (ANYIO + ASYNCIO, 5),
    "by several processes": (XDIST, 4),
}


@pytest.mark.works_with("pytest-asyncio", "pytest-xdist", "AnyIO", "TestClient")
@pytest.mark.parametrize("name", RUNS)
def test_in_a_run_of_a_user(tmp_path: Path, name: str) -> None:
    """Every backend is in memory, `.env` is ignored, no object outlives its test, and the disk is not touched."""
    test, count = RUNS[name]
    options = ("-n", "2") if test is XDIST else ()
    # Their own, of pytest-asyncio and of starlette, which want others to change something.
    warnings = ["ignore:Using `httpx`", "ignore:The configuration option"]
    run = run_tests(tmp_path, BEGINNING + test, *options, plugins="asyncio", ignored=warnings)

    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{count} passed" in run.stdout
    assert {path.name for path in tmp_path.iterdir()} & {"data", "archive", "bucket"} == set()


def test_a_run_that_uses_nothing_pays_nothing(tmp_path: Path) -> None:
    """The plugin, which pytest finds by itself, imports neither the library nor what that needs."""
    test = """
    import sys

    def test_nothing(pytestconfig):
        names = ("fastapi_filestore", "fastapi", "sqlalchemy", "obstore", "pydantic")
        assert pytestconfig.pluginmanager.has_plugin("fastapi_filestore")
        assert not [name for name in names if name in sys.modules]
    """
    run = run_tests(tmp_path, test)

    assert run.returncode == 0, run.stdout + run.stderr
