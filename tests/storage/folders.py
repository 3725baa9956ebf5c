"""A local folder beside a secret one, on platforms that can open folders step by step and on others."""

from pathlib import Path

import pytest

from fastapi_filestore.storage.local import open_folder
from fastapi_filestore.storage.obstore_backend import ObstoreBackend


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The backend's folder, beside one with a secret in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return tmp_path / "root"


def files(root: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return [path.name for path in root.rglob("*") if path.is_file()]


def link(path: Path, target: str | Path) -> None:
    """Make a link."""
    path.symlink_to(target)


def write(path: Path) -> None:
    """Write a file and its folders."""
    path.write_bytes(b"x")


@pytest.fixture(params=[True, False], ids=["in open folders", "by path"])
def local(root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObstoreBackend:
    """A backend in a local folder, on a platform that can and on one that can't do things in open folders."""
    monkeypatch.setattr(open_folder, "HOLDS_FOLDERS", request.param)
    return ObstoreBackend("local", root)
