"""Validators that read the stored object, on several stores: a refusal takes it away before any row points to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, UploadError, storages
from fastapi_filestore.file_object.validators import AnyValidator
from fastapi_filestore.testing import FaultyBackend
from tests.intake.heads import NOISE, png
from tests.storage.stores import MAKERS
from tests.uploads.gallery import SCAN, VIRUS, Gallery, make_engine, open_gallery

MIB = 1024 * 1024
CLEAN = png() + NOISE * 200
INFECTED = CLEAN + VIRUS + NOISE


@pytest.fixture(params=["memory", "local", "seaweedfs"])
async def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gallery]:
    """A gallery on each kind of store."""
    fs, options = MAKERS[request.param](request)
    backend = ObstoreBackend(key="gallery", fs=fs, **options)
    storages.register_backend(backend)
    async with open_gallery(make_engine("sqlite-async", request, tmp_path), backend) as gallery:
        yield gallery
    storages.unregister_backend(backend.key)


def picture(content: bytes) -> FileObject:
    """Return a picture to be stored."""
    return FileObject(filename="a.png", content=content)


async def test_a_scanner_reads_what_is_stored(gallery: Gallery) -> None:
    """It opens the object, sees all of it and lets it pass."""
    SCAN.seen.clear()
    await gallery.add(image=picture(CLEAN))

    assert SCAN.seen == [("a.png", len(CLEAN))]
    assert len(await gallery.keys()) == 1


async def test_a_refused_object_is_gone(gallery: Gallery) -> None:
    """Neither the object nor a row is left, nor an intent that a sweeper would not settle."""
    await gallery.refuse(UploadError, "holds a virus", image=picture(INFECTED))

    assert await gallery.keys() == set()


async def test_a_refusal_takes_the_files_beside_it(gallery: Gallery) -> None:
    """What was stored for the same row is undone with it."""
    await gallery.refuse(UploadError, "holds a virus", anything=picture(CLEAN), image=picture(INFECTED))

    assert await gallery.keys() == set()


async def test_a_refused_replacement_leaves_the_old_file(gallery: Gallery) -> None:
    """The row still has what it had."""
    identity = await gallery.add(image=picture(CLEAN))
    with pytest.raises(UploadError, match="holds a virus"):
        await gallery.change(identity, lambda row: setattr(row, "image", picture(INFECTED)))

    assert len(await gallery.keys()) == 1
    await gallery.check()


# -- one store ---------------------------------------------------------------------------------------


class Slow:
    """Takes its time."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def validate_object(self, file: FileObject) -> None:
        """Wait for ever."""
        self.began.set()
        await asyncio.Event().wait()


class Broken:
    """Fails, as a scanner that is down."""

    async def validate_object(self, file: FileObject) -> None:
        """Fail."""
        raise ConnectionError("The scanner is down.")


def scanned(validator: AnyValidator) -> FileObject:
    """Return a file whose column has a validator."""
    file = FileObject("scanned", "a.png", content=CLEAN)
    file.assign(None, storages, StoredObject(validators=[validator]).rules)
    return file


@pytest.fixture
def memory() -> Iterator[FaultyBackend]:
    """A store in memory whose deletions can be made to fail."""
    backend = FaultyBackend(ObstoreBackend(key="scanned", fs="memory://"), lambda number, operation: False)
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("scanned")


async def test_a_cancelled_scan_leaves_nothing(memory: FaultyBackend) -> None:
    """Whoever goes away while a validator is at work leaves no object behind."""
    slow = Slow()
    saving = asyncio.create_task(scanned(slow).save_async())
    await slow.began.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving

    assert [info async for info in memory.list()] == []


async def test_a_scanner_that_is_down_refuses(memory: FaultyBackend) -> None:
    """Its error is the caller's to see, and what it did not judge is not kept."""
    file = scanned(Broken())
    with pytest.raises(ConnectionError, match="scanner is down"):
        await file.save_async()

    assert not file.is_stored
    assert [info async for info in memory.list()] == []


async def test_a_store_that_fails_meanwhile_hides_no_refusal(memory: FaultyBackend) -> None:
    """The refusal is told even if the object can't be deleted at once."""
    memory.fails = lambda number, operation: operation == "delete"
    with pytest.raises(ConnectionError, match="scanner is down"):
        await scanned(Broken()).save_async()

    assert memory.calls == ["put", "delete"]
