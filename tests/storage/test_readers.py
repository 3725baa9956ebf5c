"""Whether nginx in front, which is another user, can read a local folder: the start says what is left to do."""

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import pytest

from fastapi_filestore import FilestoreSettings, ObstoreBackend
from fastapi_filestore.storage.from_settings import registering_backends
from fastapi_filestore.storage.local import modes as readers
from fastapi_filestore.storage.registry import StorageRegistry

OPEN = {"file_mode": "0644", "folder_mode": "0755"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, and those above it, too."""
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    yield folder
    rmtree(folder)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The group of this process has no other members, unless a test says so."""
    group = SimpleNamespace(gr_name="app", gr_mem=[])
    monkeypatch.setattr(readers, "ROOT_GROUP", -1)
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwall", list)
    return group


async def told(root: Path, caplog: pytest.LogCaptureFixture, **options: Any) -> str:
    """Start with a backend whose files nginx reads, and return what the log says of it."""
    settings = FilestoreSettings(
        _env_file=None, backends={"docs": {"url": root.as_uri(), "downloads": "accel", **options}}
    )
    async with registering_backends(settings, StorageRegistry(), base_url="/"):
        messages = [each.getMessage() for each in caplog.records if "accel_unreadable" in each.getMessage()]
    return "".join(messages)


async def test_everybody_may_read(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where others may read, there is nothing to say."""
    assert await told(place / "root", caplog, **OPEN) == ""


async def test_the_group_may_read(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the usual modes nginx has to be in the group, or the modes to be others."""
    message = await told(place / "root", caplog)

    assert f"backend=docs folder={place}/root" in message
    assert "add its user to the group 'app' (usermod -a -G app USER)" in message
    assert f"(FILE_MODE=0644; FOLDER_MODE=0755; chmod o+x {place}/root)" in message


async def test_the_group_has_others(place: Path, alone: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    """Where the group has another member, that is taken for nginx."""
    alone.gr_mem = ["www-data"]

    assert await told(place / "root", caplog) == ""


async def test_nobody_else_may_read(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With modes that keep the group out, nginx has to be the same user."""
    message = await told(place / "root", caplog, file_mode="0600", folder_mode="0700")

    assert "run it as the user of this process" in message
    assert "usermod" not in message


async def test_a_folder_above_is_closed(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder above that others may not enter is named."""
    os.chmod(place, 0o700)  # noqa: PTH101 - at once
    message = await told(place / "root", caplog, **OPEN)

    assert f"let everybody read (chmod o+x {place}), or run it as the user" in message


async def test_the_group_of_root(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is asked to put nginx into the group of root."""
    monkeypatch.setattr(readers, "ROOT_GROUP", os.getegid())

    assert "usermod" not in await told(place / "root", caplog)


async def test_the_group_of_the_folder(
    place: Path, alone: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that hands its group on says which group that is, whatever the process's own is."""
    await told(place / "root", caplog, folder_mode="2750")
    monkeypatch.setattr(os, "getegid", lambda: 4321)
    caplog.clear()

    assert "group 'app'" in await told(place / "root", caplog, folder_mode="2750")


async def test_a_folder_of_another_group(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the folder is closed to the group of new files, to be in that group is no use."""
    await told(place / "root", caplog)
    monkeypatch.setattr(os, "getegid", lambda: 4321)
    caplog.clear()

    assert "usermod" not in await told(place / "root", caplog)


@pytest.mark.parametrize("downloads", ["stream", "redirect"])
async def test_other_ways_need_nobody(place: Path, caplog: pytest.LogCaptureFixture, downloads: str) -> None:
    """Who serves files by itself says nothing."""
    assert await told(place / "root", caplog, downloads=downloads) == ""


async def test_a_backend_that_was_registered_by_hand(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that no setting describes is looked at as well; a store without a folder is not."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("mine", place / "root"))
    registry.register_backend(ObstoreBackend("memory", "memory://"))
    async with registering_backends(FilestoreSettings(_env_file=None, downloads="accel"), registry, base_url="/"):
        messages = [each.getMessage() for each in caplog.records if "accel_unreadable" in each.getMessage()]

    assert len(messages) == 1
    assert "backend=mine" in messages[0]
