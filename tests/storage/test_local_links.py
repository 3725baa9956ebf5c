"""A local folder keeps to itself: links lead nowhere else, and names that a disk cannot hold are refused."""

from pathlib import Path

import pytest

from fastapi_filestore.errors import (
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
)
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.folders import link, local, root

__all__ = ["local", "root"]


def _outside(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root.parent / "outside").iterdir()}


@pytest.mark.parametrize("target", ["../outside/secret", "{outside}/secret", "chain"])
async def test_link_to_a_file_outside(local: ObstoreBackend, root: Path, target: str) -> None:
    """A link that leads out of the folder, straight or over another, is no object."""
    link(root / "chain", "../outside/secret")
    link(root / "link", target.format(outside=root.parent / "outside"))
    for operation in (local.open("link"), local.open("link", end=3), local.head("link"), local.copy("link", "copied")):
        with pytest.raises(ObjectNotFoundError):
            await operation

    assert [info async for info in local.list()] == []


async def test_link_to_a_folder_outside(local: ObstoreBackend, root: Path) -> None:
    """Nothing outside is read, listed, written or deleted through a linked folder."""
    link(root / "linked", "../outside")
    await local.put("k", b"x")
    for operation in (
        local.open("linked/secret"),
        local.head("linked/secret"),
        local.copy("k", "linked/new"),
        local.put("linked/new", b"x"),
        local.put("linked/secret", b"overwritten"),
    ):
        with pytest.raises(ObjectNotFoundError):
            await operation
    await local.delete("linked/secret")

    assert [info.path async for info in local.list()] == ["k"]
    assert [info async for info in local.list("linked")] == []
    assert _outside(root) == {"secret": "secret"}


async def test_put_onto_a_link(local: ObstoreBackend, root: Path) -> None:
    """A put replaces a link, and a delete removes it; what it led to stays."""
    for _ in range(2):
        link(root / "link", "../outside/secret")
        with pytest.raises(ObjectExistsError):
            await local.put("link", b"x", if_absent=True)
        await local.put("link", b"new")
        assert await (await local.open("link")).read() == b"new"
        await local.delete("link")

    assert _outside(root) == {"secret": "secret"}
    assert [info async for info in local.list()] == []


async def test_root_that_is_a_link(local: ObstoreBackend, root: Path, tmp_path: Path) -> None:
    """A folder that is itself reached over a link is fine."""
    link(tmp_path / "mounted", root)
    backend = ObstoreBackend("local", tmp_path / "mounted")
    await backend.put("a/k", b"x")

    assert [info.path async for info in backend.list()] == ["a/k"]
    assert await (await local.open("a/k")).read() == b"x"


@pytest.mark.parametrize("key", ["n" * 256, "é" * 130, "Invoice #12", "a/b#1"])
async def test_names_that_a_disk_cannot_hold(local: ObstoreBackend, key: str) -> None:
    """A name that is too long, or that obstore needs for itself, is refused on writing and missing on reading."""
    with pytest.raises(InvalidKeyError) as caught:
        await local.put(key, b"x")
    for operation in (local.open(key), local.head(key), local.copy(key, "k")):
        with pytest.raises(ObjectNotFoundError):
            await operation
    await local.delete(key)

    assert (caught.value.backend, caught.value.path) == ("local", key)
    assert [info async for info in local.list()] == []


async def test_object_and_folder_of_one_name(local: ObstoreBackend) -> None:
    """A disk can't hold both an object and a folder of one name: the second is refused, the first stays."""
    await local.put("a", b"x")
    await local.put("b/c", b"x")
    for key in ("a/b", "a/b/c", "b"):
        with pytest.raises(InvalidKeyError):
            await local.put(key, b"y")

    assert [info.path async for info in local.list()] == ["a", "b/c"]
