"""`FileService.append` and `remove`: a list that many requests change at once loses nothing."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import UploadFile
from sqlalchemy import event

from fastapi_filestore import (
    ConfigurationError,
    DatabaseUnavailableError,
    FileObject,
    FileService,
    PendingContentError,
    RowNotFoundError,
    StorageUnavailableError,
    Upload,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.service.engines import engine_of
from tests.web.models import Album, Document
from tests.web.site import Site


@asynccontextmanager
async def albums(place: Site, **options: Any) -> AsyncIterator[FileService[Album]]:
    """Open a session and its service, committed at the end."""
    async with place.session() as session, FileService(session, model=Album, **options).unit_of_work() as service:
        yield service


def photo(name: str) -> FileObject:
    """Return a file whose bytes are still to be stored."""
    return FileObject(filename=name, content=name.encode())


async def album(place: Site, *names: str) -> int:
    """Commit an album with photos and return its id."""
    async with albums(place) as service:
        row = await service.create({"photos": [photo(name) for name in names]})
        return row.id


async def names(place: Site, identity: int) -> list[str]:
    """Return the names of an album's photos."""
    async with albums(place) as service:
        return [file.filename for file in (await service.get(identity)).photos or []]


async def upload(name: str) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an upload."""
    yield name.encode()


async def test_every_append_is_kept(place: Site) -> None:
    """Eight requests that each append one photo at once: those that succeed are all in the list, in any order."""
    identity = await album(place)

    async def append(name: str) -> str:
        async with albums(place) as service:
            await service.get(identity)  # from a copy that the others make stale
            await service.append(identity, photo(name), field="photos")
        return name

    results = await asyncio.gather(*(append(f"{number}.png") for number in range(8)), return_exceptions=True)
    kept = {result for result in results if isinstance(result, str)}

    # SQLite has one writer, and may be too busy; nothing but that is refused.
    assert {type(result) for result in results} <= {str, DatabaseUnavailableError}
    assert len(kept) == 8 or engine_of(place).dialect.name == "sqlite"
    assert set(await names(place, identity)) == kept


async def test_what_an_append_takes(place: Site) -> None:
    """A file, an upload of either kind or several of them, after what the session itself did to the list."""
    identity = await album(place, "a")
    async with albums(place) as service:
        row: Any = await service.get(identity)
        row.photos.append(photo("b"))
        await service.append(identity, UploadFile(io.BytesIO(b"c"), filename="c"))
        await service.append(identity, Upload(upload("d"), filename="d"))
        await service.append(identity, (file for file in [photo("e"), UploadFile(io.BytesIO(b"f"), filename="f")]))
        await service.append(identity, [])

    assert await names(place, identity) == ["a", "b", "c", "d", "e", "f"]


async def test_bytes_are_stored_before_the_row_is_locked(place: Site) -> None:
    """An upload waits for nobody's lock, and nobody waits for an upload."""
    identity = await album(place, "a")
    seen: list[str] = []
    engine = engine_of(place)

    async def slow() -> AsyncIterator[bytes]:
        seen.append("read")
        yield b"slow"

    @event.listens_for(engine, "before_cursor_execute")
    def note(*call: Any) -> None:
        if "FOR UPDATE" in call[2] or call[2].startswith("UPDATE"):
            seen.append("locked")

    async with albums(place) as service:
        await service.append(identity, FileObject(filename="b", content=slow()))
    event.remove(engine, "before_cursor_execute", note)

    assert seen[0] == "read"
    assert "locked" in seen


async def test_a_remove_takes_out_what_it_names(place: Site) -> None:
    """Whatever else was added since the files were read stays; what is not there is no error."""
    identity = await album(place, "a", "b", "c")
    async with albums(place) as service:
        a, b, _ = (await service.get(identity)).photos or []
        await service.commit()
        async with albums(place) as other:
            await other.append(identity, photo("d"))
        await service.remove(identity, a)
        await service.remove(identity, [a, b])

    assert await names(place, identity) == ["c", "d"]
    assert len(await place.keys()) == 2


async def test_a_whole_list_is_replaced_by_an_update(place: Site) -> None:
    """An update that names the whole list, of a row that it has not read, is refused for nobody."""
    identity = await album(place, "a")

    async def replace(name: str) -> str:
        async with albums(place) as service, service.turn():
            await service.update(identity, {"photos": [photo(name)]})
        return name

    results = await asyncio.gather(*(replace(f"{number}") for number in range(4)), return_exceptions=True)

    assert {type(result) for result in results} <= {str, DatabaseUnavailableError}
    assert set(await names(place, identity)) < set(map(str, range(4)))
    assert len(await place.keys()) == 1


async def test_what_is_refused(place: Site) -> None:
    """A row that is not there or out of scope, a column of one file and a file that nobody stored; nothing is left."""
    identity = await album(place, "a")
    async with albums(place) as service:
        with pytest.raises(RowNotFoundError):
            await service.append(identity + 1, photo("b"))
        with pytest.raises(ConfigurationError, match="multiple=True"):
            await service.append(identity, photo("b"), field="cover")
        with pytest.raises(PendingContentError, match="taken out"):
            await service.remove(identity, photo("a"))
        with pytest.raises(ConfigurationError, match="no file column"):
            await FileService(service.session, model=Document).append(1, photo("b"), field="no")
    async with albums(place, scope=Album.id != identity) as service:
        with pytest.raises(RowNotFoundError):
            await service.append(identity, photo("b"))
        with pytest.raises(RowNotFoundError):
            await service.remove(identity, [])

    assert len(await place.keys()) == 1


async def test_a_failing_append_leaves_the_list(place: Site) -> None:
    """An upload that fails, or a transaction that is rolled back, changes nothing."""
    identity = await album(place, "a")
    storages.register_backend(FaultyBackend(place.backend, lambda call, name: name == "put"), replace=True)
    async with albums(place) as service:
        with pytest.raises(StorageUnavailableError):
            await service.append(identity, photo("b"))
    storages.register_backend(place.backend, replace=True)
    async with albums(place) as service:
        await service.append(identity, photo("c"))
        await service.rollback()

    assert await names(place, identity) == ["a"]
    assert len(await place.keys()) == 1
