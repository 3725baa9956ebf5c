"""Who may read what a local backend makes, whatever umask the process has."""

import os
import stat
from collections.abc import Iterator
from errno import EPERM
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from fastapi_filestore import FilestoreSettings
from fastapi_filestore.errors import ConfigurationError, SettingsError
from fastapi_filestore.storage.local import modes, open_folder
from fastapi_filestore.storage.obstore_backend import ObstoreBackend


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run with a umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture(params=[True, False], ids=["in open folders", "by path"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on a platform that can and on one that can't do things in open folders."""
    monkeypatch.setattr(open_folder, "HOLDS_FOLDERS", request.param)


def modes_below(root: Path) -> tuple[set[str], set[str]]:
    """Return the modes of the folders, the root among them, and of the files."""
    paths = [root, *root.rglob("*")]
    folders, files = [p for p in paths if p.is_dir()], [p for p in paths if p.is_file()]
    return {_mode(path) for path in folders}, {_mode(path) for path in files}


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


async def fill(local: ObstoreBackend) -> None:
    """Make files and folders in every way."""
    await local.put("a", b"x")
    await local.put("f/a", b"x", if_absent=True)
    await local.put("f/g/h/a", bytes(3_000_000))
    await local.copy("a", "i/j/a")


@pytest.mark.usefixtures("umask", "held")
async def test_modes_unless_told_otherwise(tmp_path: Path) -> None:
    """The owner writes, the group reads, and others see nothing: of the root, too, and of what is made above it."""
    await fill(ObstoreBackend("local", tmp_path / "made" / "root"))

    assert modes_below(tmp_path / "made") == ({"0750"}, {"0640"})


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("file", "folder"), [("0644", "0755"), (0o600, 0o700), ("660", "2770"), ("0o440", "0O750")])
async def test_modes_of_choice(tmp_path: Path, file: Any, folder: Any) -> None:
    """Modes are those of the options, as octal text or as Python writes octal numbers."""
    await fill(ObstoreBackend("local", tmp_path / "root", file_mode=file, folder_mode=folder))
    shown = [f"{mode if isinstance(mode, int) else int(mode, 8):04o}" for mode in (folder, file)]

    assert modes_below(tmp_path / "root") == ({shown[0]}, {shown[1]})


async def test_modes_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backend has its own, by variables of the environment."""
    monkeypatch.setenv("FILESTORE_BACKENDS__X__URL", (tmp_path / "root").as_uri())
    monkeypatch.setenv("FILESTORE_BACKENDS__X__FILE_MODE", "0600")
    monkeypatch.setenv("FILESTORE_BACKENDS__X__FOLDER_MODE", "0700")
    settings = FilestoreSettings(_env_file=None).backends["x"]
    await fill(ObstoreBackend("x", settings.url, **settings.options()))

    assert modes_below(tmp_path / "root") == ({"0700"}, {"0600"})


async def test_modes_beside_a_store_that_is_made(tmp_path: Path) -> None:
    """A store of obstore may have modes beside it; its own root stays as it is."""
    (tmp_path / "root").mkdir(mode=0o755)
    await fill(ObstoreBackend("local", LocalStore(tmp_path / "root"), file_mode="0600", folder_mode="0700"))

    assert modes_below(tmp_path / "root") == ({_mode(tmp_path / "root"), "0700"}, {"0600"})


async def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """Folders that somebody else made stay as they are, and a folder that hands on its group goes on doing so."""
    (tmp_path / "root" / "f").mkdir(parents=True)
    (tmp_path / "root" / "f").chmod(0o2775)
    await ObstoreBackend("local", tmp_path / "root").put("f/g/a", b"x")

    assert _mode(tmp_path / "root" / "f") == "2775"
    assert _mode(tmp_path / "root" / "f" / "g") == "2750"


@pytest.mark.parametrize(
    ("option", "mode", "said"),
    [
        ("file_mode", "rw-r-----", "'rw-r-----' is not a mode: use an octal number such as 0640"),
        ("file_mode", "0999", "is not a mode"),
        ("file_mode", "\u0660\u0666\u0664\u0660", "is not a mode"),
        ("file_mode", "-640", "is not a mode"),
        ("file_mode", "000640", "is not a mode"),
        ("file_mode", True, "is not a mode"),
        ("file_mode", 6.4, "is not a mode"),
        ("file_mode", 640, "0o640"),
        ("file_mode", 644, "0o644"),
        ("file_mode", "0755", "A file can't be of mode 0755: use read and write bits only"),
        ("file_mode", "4640", "A file can't be of mode 4640"),
        ("file_mode", "0040", "Mode 0040 keeps the owner from reading"),
        ("folder_mode", 750, "0o750"),
        ("folder_mode", "0650", "Mode 0650 keeps the owner out"),
        ("folder_mode", "1777", "A folder can't be of mode 1777"),
        ("folder_mode", "drwxr-x---", "is not a mode: use an octal number such as 0750"),
    ],
)
def test_a_mode_that_cannot_be(tmp_path: Path, option: str, mode: object, said: str) -> None:
    """A mode that is none, or that would not work, is refused at once, with the backend's name and what to write."""
    with pytest.raises(ConfigurationError, match="Backend 'local'") as caught:
        ObstoreBackend("local", tmp_path / "root", **{option: mode})

    assert said in str(caught.value)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("FILE_MODE", "0888", "FILESTORE_BACKENDS__X__FILE_MODE is '0888'"),
        ("FILE_MODE", "0750", "use read and write bits only, as 0640"),
        ("FOLDER_MODE", "0640", "FILESTORE_BACKENDS__X__FOLDER_MODE is '0640'"),
    ],
)
def test_a_setting_that_cannot_be(monkeypatch: pytest.MonkeyPatch, name: str, mode: str, said: str) -> None:
    """A wrong mode in the environment is an error of the settings, by its variable."""
    monkeypatch.setenv("FILESTORE_BACKENDS__X__URL", "file:///tmp/x/")
    monkeypatch.setenv(f"FILESTORE_BACKENDS__X__{name}", mode)
    with pytest.raises(SettingsError) as caught:
        FilestoreSettings(_env_file=None)

    assert said in str(caught.value)


def test_a_mode_of_another_store() -> None:
    """Objects of a bucket have no modes."""
    with pytest.raises(ConfigurationError, match="'file_mode' belongs to local"):
        ObstoreBackend("s3", "s3://bucket", file_mode="0640")


async def test_a_disk_without_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Files are stored where the disk has no modes, and the log says once who decides then."""

    def refuse(*_: object) -> None:
        raise PermissionError(EPERM, "Operation not permitted")

    monkeypatch.setattr(modes, "_told", set[str]())
    monkeypatch.setattr(os, "chmod", refuse)
    local = ObstoreBackend("local", tmp_path / "root")
    await fill(local)
    told = [record.getMessage() for record in caplog.records if "mode_not_set" in record.getMessage()]

    assert [info.path async for info in local.list()] == ["a", "f/a", "f/g/h/a", "i/j/a"]
    assert len(told) == 1
