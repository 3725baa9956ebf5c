"""What is done about Windows and macOS, seen on this machine; tests/platforms runs on theirs."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError, StoragePermissionError
from fastapi_filestore.storage.local import platforms
from fastapi_filestore.storage.obstore_backend import ObstoreBackend


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this be Windows, as far as names and waiting are concerned."""
    monkeypatch.setattr(platforms, "IS_WINDOWS", True)
    monkeypatch.setattr(platforms, "PAUSE", 0)


@pytest.fixture
def local(tmp_path: Path) -> ObstoreBackend:
    """A backend in a local folder."""
    return ObstoreBackend("local", tmp_path / "root")


ODD = [
    "k::$DATA",
    "k:stream",
    "k.",
    "k ",
    "a./k",
    "con",
    "NUL.txt",
    "a/aux",
    "COM1",
    "lpt9.tar.gz",
    "com¹",
    "conin$",
    "nul .txt",
    "a?b",
    "a*",
    'a"b',
    "<a>",
    "a|b",
]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("key", ODD)
async def test_what_windows_reads_as_another_name(local: ObstoreBackend, key: str) -> None:
    """A key that Windows would take for another file, or for a device, is not stored, not found and deletes nothing."""
    await local.put("k", b"bytes")
    with pytest.raises(InvalidKeyError):
        await local.put(key, b"bytes")
    with pytest.raises(InvalidKeyError):
        await local.copy("k", key)
    with pytest.raises(ObjectNotFoundError):
        await local.open(key)
    await local.delete(key)

    assert [info.path async for info in local.list()] == ["k"]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("key", ["3f/3f1c", "Résumé (1).pdf", "console.txt", "com10", "a.b.c", "nullable", ".hidden"])
async def test_what_windows_names_well(local: ObstoreBackend, key: str) -> None:
    """Any other key is stored there, too."""
    await local.put(key, b"bytes")

    assert (await local.head(key)).size == 5


@pytest.mark.parametrize("key", ODD)
async def test_elsewhere_they_are_names(local: ObstoreBackend, key: str) -> None:
    """Where they are names like others, they are keys like others."""
    await local.put(key, b"bytes")

    assert [info.path async for info in local.list()] == [key]


@pytest.mark.parametrize(
    ("path", "on_windows"),
    [("/C:/files/a", "C:/files/a"), ("/c:", "c:"), ("/srv/files", "/srv/files"), ("//server/share", "//server/share")],
)
def test_drives_in_urls(monkeypatch: pytest.MonkeyPatch, path: str, on_windows: str) -> None:
    """The URL of a folder on a drive is that folder on Windows, and what it says elsewhere."""
    assert platforms.path_in_url(path) == path
    monkeypatch.setattr(platforms, "IS_WINDOWS", True)

    assert platforms.path_in_url(path) == on_windows


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("if_absent", [True, False])
async def test_a_file_that_somebody_has_open(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, if_absent: bool
) -> None:
    """What Windows refuses as long as somebody has a file open is tried again for a moment."""
    refused = {"replace": 3, "unlink": 3}

    def busy(name: str) -> Any:
        real = getattr(os, name)

        def act(*args: Any, **options: Any) -> None:
            refused[name] -= 1
            if refused[name] >= 0:
                raise PermissionError(13, "The process cannot access the file")
            real(*args, **options)

        return act

    for name in refused:
        monkeypatch.setattr(os, name, busy(name))
    await local.put("k", b"bytes", if_absent=if_absent)
    await local.delete("k")

    assert [info.path async for info in local.list()] == []


@pytest.mark.usefixtures("windows")
async def test_a_file_that_stays_open(local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody has open for longer is told, and is there still: a sweep deletes it later."""
    await local.put("k", b"bytes")

    def busy(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "The process cannot access the file")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", busy)
        with pytest.raises(StoragePermissionError):
            await local.delete("k")

    assert (await local.head("k")).size == 5


@pytest.mark.usefixtures("windows")
async def test_settling_opens_for_writing(local: ObstoreBackend, tmp_path: Path) -> None:
    """What is made to last is opened so that Windows syncs it."""
    await local.put("k", b"bytes")
    await local.make_durable("k")
    with platforms.opening_to_sync(-1, tmp_path / "root" / "k") as number:
        assert os.write(number, b"b") == 1


@pytest.mark.usefixtures("windows")
async def test_a_listing_has_the_tags_of_heads(local: ObstoreBackend) -> None:
    """The entity tags of a listing are those of the objects, where the listing itself lacks a part of them."""
    await local.put("k", b"bytes")

    assert [info async for info in local.list()] == [await local.head("k")]


@pytest.mark.usefixtures("windows")
def test_junctions_are_links() -> None:
    """A junction, which is a folder to Python, leads elsewhere all the same."""
    tag = stat.IO_REPARSE_TAG_MOUNT_POINT if hasattr(stat, "IO_REPARSE_TAG_MOUNT_POINT") else 0xA0000003

    def entry(tag: int) -> Any:
        status = SimpleNamespace(st_reparse_tag=tag)
        return SimpleNamespace(is_symlink=lambda: False, stat=lambda follow_symlinks: status)

    assert platforms.is_link(entry(tag))
    assert not platforms.is_link(entry(0))


async def test_a_disk_that_takes_capitals_for_small_letters(
    local: ObstoreBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that rows call by other capitals or accents is known by the name that a listing has for it."""
    real, listed = os.lstat, "Docs/Résumé.pdf"
    await local.put(listed, b"bytes")
    root = tmp_path / "root"

    def lstat(path: Any) -> os.stat_result:
        text = os.fspath(path)
        names = {str(root / "docs"): root / "Docs", str(root / "Docs" / "re\u0301sume\u0301.PDF"): root / listed}
        return real(names.get(text, path))

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setattr("fastapi_filestore.storage.local.folder.folds_names", lambda: True)
    asked = ["docs/re\u0301sume\u0301.PDF", listed, "docs/missing"]

    assert await local.listed_as(asked) == [listed, listed, "docs/missing"]
