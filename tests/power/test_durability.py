"""Which folders are synced, when nothing is, and what other systems are asked for."""

import asyncio
import os
import sys
from errno import ENOTSUP
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from obstore.store import LocalStore

from fastapi_filestore import FilestoreSettings, ObstoreBackend
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.local import durability
from fastapi_filestore.storage.local.durability import SYNC_STEP
from fastapi_filestore.storage.local.open_folder import open_folder
from tests.power.calls import Call
from tests.power.recorder import Recorder, recording


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the backend's folder, which is there already."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def synced(recorder: Recorder, root: Path) -> list[str]:
    """Return the folders that were synced so far, as seen from the root's parent, and forget them."""
    calls = [event for event in recorder.events if isinstance(event, Call) and event.operation == "sync_folder"]
    recorder.events.clear()
    return [str(call.path.relative_to(root.parent)) for call in calls if call.path.is_relative_to(root.parent)]


async def test_folders_are_synced_once(root: Path) -> None:
    """The first file of a folder brings all folders above it to the disk; the next one only its own name."""
    local = ObstoreBackend("local", root)
    with recording(root.parent) as recorder:
        await local.put("f/g/a", b"x")
        first = synced(recorder, root)
        await local.put("f/g/b", b"x")
        second = synced(recorder, root)
        await local.put("f/h/a", b"x")
        third = synced(recorder, root)

    assert first == ["root/f/g", "root/f", "root", "."]
    assert second == ["root/f/g"]
    assert third == ["root/f/h", "root/f"]


async def test_what_another_process_made_is_synced(root: Path) -> None:
    """A folder that is there already may be there in memory only: each process syncs it for itself."""
    first, second = ObstoreBackend("local", root), ObstoreBackend("local", root)
    with recording(root.parent) as recorder:
        await first.put("f/a", b"x")
        recorder.events.clear()
        await second.put("f/b", b"x")

        assert synced(recorder, root) == ["root/f", "root", "."]


async def test_a_folder_that_vanished_is_synced_anew(root: Path) -> None:
    """A folder that somebody removed is made and synced again, with those above it."""
    local = ObstoreBackend("local", root)
    with recording(root.parent) as recorder:
        await local.put("f/g/a", b"x")
        await local.delete("f/g/a")
        for folder in (root / "f" / "g", root / "f"):
            await asyncio.to_thread(folder.rmdir)
        recorder.events.clear()
        await local.put("f/g/a", b"x")

        assert synced(recorder, root) == ["root/f/g", "root/f", "root"]


async def test_folders_that_are_removed_when_empty(root: Path) -> None:
    """With automatic_cleanup a deletion removes empty folders, and what is left of them above is synced."""
    local = ObstoreBackend("local", root, automatic_cleanup=True)
    with recording(root.parent) as recorder:
        await local.put("f/g/a", b"x")
        recorder.events.clear()
        await local.delete("f/g/a")

        assert synced(recorder, root) == ["root"]
    assert await asyncio.to_thread(os.listdir, root) == []


async def test_a_deletion_that_somebody_else_began(root: Path) -> None:
    """An object that is missing already is synced as gone: who removed it may have been killed before that."""
    local = ObstoreBackend("local", root)
    await local.put("f/a", b"x")
    await asyncio.to_thread((root / "f" / "a").unlink)
    with recording(root.parent) as recorder:
        await local.delete("f/a", "g/h/a")

        assert sorted(synced(recorder, root)) == ["root", "root/f"]


def _by_option(root: Path) -> ObstoreBackend:
    return ObstoreBackend("local", root, durable=False)


def _by_setting(root: Path) -> ObstoreBackend:
    settings = FilestoreSettings(backends={"local": {"url": root.as_uri(), "durable": "false"}})
    backend = settings.backends["local"]
    return ObstoreBackend("local", backend.url, **backend.options())


def _by_store(root: Path) -> ObstoreBackend:
    return ObstoreBackend("local", LocalStore(root), durable=False)


@pytest.mark.parametrize("make", [_by_option, _by_setting, _by_store])
async def test_durability_can_be_turned_off(root: Path, make: Any) -> None:
    """A backend that is not durable stores, copies, confirms and deletes, and syncs nothing."""
    local = make(root)
    with recording(root.parent) as recorder:
        await local.put("f/a", b"x")
        await local.put("f/b", bytes(2 * SYNC_STEP), if_absent=True)
        await local.copy("f/b", "f/c")
        await local.make_durable("f/c")
        await local.delete("f/b")
        operations = {event.operation for event in recorder.events if isinstance(event, Call)}

    assert [info.path async for info in local.list()] == ["f/a", "f/c"]
    assert operations == {"make", "create", "write", "rename", "link", "remove"}


def test_durability_of_a_networked_store_cannot_be_set() -> None:
    """Only a local folder has the option."""
    with pytest.raises(ConfigurationError, match="'durable' belongs to local"):
        ObstoreBackend("s3", "s3://bucket", durable=False)


async def test_long_copies_are_synced_as_they_come(root: Path) -> None:
    """A long copy is synced again and again, so that its end is quick."""
    local = ObstoreBackend("local", root)
    await local.put("a", bytes(9 * SYNC_STEP))
    with recording(root.parent) as recorder:
        await local.copy("a", "b")
        operations = [event.operation for event in recorder.events if isinstance(event, Call)]

    assert operations.count("sync") > 2


@pytest.mark.parametrize("is_supported", [True, False])
def test_macos_is_asked_for_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_supported: bool) -> None:
    """On macOS the drive is asked to write out its own memory, of files and folders; a disk without it is synced."""
    asked: list[int] = []

    def control(_: int, command: int) -> None:
        asked.append(command)
        if not is_supported:
            raise OSError(ENOTSUP, "not supported")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "fcntl", SimpleNamespace(F_FULLFSYNC=51, fcntl=control))
    spec = spec_from_file_location("durability_on_macos", durability.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "durability_on_macos", module)
    spec.loader.exec_module(module)
    with recording(tmp_path) as recorder, (tmp_path / "file").open("wb") as file:
        module.Durability("local", tmp_path / "root").sync_file(file.fileno())
        with open_folder(tmp_path, "") as folder:
            module.Durability("local", tmp_path / "root").sync_removals(folder)
        synced = [event.path for event in recorder.events if isinstance(event, Call)]

    assert asked == [51, 51]
    assert synced == ([] if is_supported else [PurePosixPath(tmp_path / "file"), PurePosixPath(tmp_path)])
