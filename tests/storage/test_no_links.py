"""Disks without hard links, as exFAT, SMB and FUSE's: what may go only where nothing is goes there all the same."""

import asyncio
import os
import sys
from errno import EACCES, EINVAL, EIO, ENOSPC, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from fastapi import FastAPI

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StorageRegistry
from fastapi_filestore.errors import ObjectExistsError, StorageError
from fastapi_filestore.storage.local import open_folder
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.web.site import SIGNING_KEY


def refuse_links(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the disk know no hard links."""

    def link(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)


@pytest.fixture(params=[True, False], ids=["in open folders", "by path"])
def local(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObstoreBackend:
    """A backend in a local folder, on a platform that can and on one that can't do things in open folders."""
    monkeypatch.setattr(open_folder, "HOLDS_FOLDERS", request.param)
    return ObstoreBackend("local", tmp_path / "root")


def files(local: ObstoreBackend) -> list[str]:
    """Return the names of all files there, unfinished ones included."""
    assert local.folder is not None
    return sorted(path.name for path in local.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("number", [EPERM, EACCES, EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP])
async def test_a_file_goes_where_nothing_is(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Content is stored, and what is there already is kept, whatever the disk says of links."""
    refuse_links(monkeypatch, number)
    stored = await local.put("a/k", b"first", if_absent=True)
    with pytest.raises(ObjectExistsError):
        await local.put("a/k", b"second", if_absent=True)

    assert (stored.size, files(local)) == (5, ["k"])
    assert await (await local.open("a/k")).read() == b"first"
    assert (await local.head("a/k")).etag == stored.etag


async def test_one_of_many_wins(local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of uploads at the same moment one is stored, whole, and the others are told."""
    refuse_links(monkeypatch, EPERM)
    puts = [local.put("k", bytes([number]) * 1000, if_absent=True) for number in range(20)]
    results = await asyncio.gather(*puts, return_exceptions=True)

    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, ObjectExistsError) for result in results) == 19
    assert files(local) == ["k"]
    assert len(set(await (await local.open("k")).read())) == 1


@pytest.mark.parametrize("number", [EIO, ENOSPC])
async def test_nothing_is_left_of_a_failure(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A disk that fails at the last step is told as it is, and has neither a part nor an empty file."""
    refuse_links(monkeypatch, EPERM)

    def replace(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(StorageError, match=os.strerror(number)):
        await local.put("k", b"bytes", if_absent=True)

    assert files(local) == []


async def test_a_disk_that_is_broken_is_not_taken_for_one_without_links(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other failures of a link are failures."""
    refuse_links(monkeypatch, EIO)
    with pytest.raises(StorageError, match="EIO"):
        await local.put("k", b"bytes", if_absent=True)

    assert files(local) == []


async def test_windows_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rename replaces nothing, as on Windows, no empty file is needed."""
    (tmp_path / "new").write_bytes(b"new")
    refuse_links(monkeypatch, EINVAL)
    monkeypatch.setattr(sys, "platform", "win32")
    renamed: list[Any] = []
    monkeypatch.setattr(os, "rename", lambda *names: renamed.append(names))
    open_folder.OpenFolder(tmp_path, "", None).rename_if_free("new", "k")

    assert renamed == [(str(tmp_path / "new"), str(tmp_path / "k"))]
    assert not (tmp_path / "k").exists()


async def test_a_signed_upload(local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client stores by a signed URL of the application, once, as on any other disk."""
    refuse_links(monkeypatch, EPERM)
    registry = StorageRegistry()
    registry.register_backend(local)
    keys: Any = [SIGNING_KEY]
    settings = FilestoreSettings(_env_file=None, signing_keys=keys, public_url="http://test")
    store = Filestore(settings=settings, registry=registry)
    app = FastAPI(exception_handlers=store.exception_handlers)
    app.include_router(store.signed_router())
    async with store.lifespan(app), httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        file = FileObject("local", "a.txt", registry=registry)
        signed = await file.signed_url_async(method="PUT", expires_in=60)
        answers = [await client.put(signed.url, content=b"sent", headers=dict(signed.headers)) for _ in range(2)]
        await file.confirm_async()

        assert [answer.status_code for answer in answers] == [201, 409]
        assert await file.get_content_async() == b"sent"
