"""Uploads that were passed over, or read by somebody else: never stored as empty files."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from fastapi_filestore import ContentConsumedError, FileObject, FileService, Upload, Uploads
from tests.uploads.passing_over import albums, assert_unharmed, form
from tests.web.models import Album
from tests.web.site import Site

__all__ = ["albums"]

Store = Callable[[Site, "list[Upload]"], Awaitable[object]]
"""A way to store uploads that nothing is left of."""


async def _create(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        await FileService(session, model=Album).create({"photos": uploads})


async def _create_of_file_objects(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        photos = [FileObject(filename=upload.filename, content=upload) for upload in uploads]
        await FileService(session, model=Album).create({"photos": photos})


async def _update(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        await FileService(session, model=Album).update(1, {"cover": uploads[0]})


async def _replace(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        await FileService(session, model=Album).replace(1, uploads[-1], field="cover")


async def _append(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        await FileService(session, model=Album).append(1, uploads)


async def _stored(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session, FileService(session, model=Album).storing(uploads[0], field="cover"):
        pass


async def _save(site: Site, uploads: list[Upload]) -> None:
    await FileObject("web").save_async(uploads[0])


async def _assign(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        album = await session.get(Album, 1)
        album.cover = uploads[0]
        await session.commit()


async def _assign_a_list(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        album = await session.get(Album, 1)
        album.photos = uploads
        await session.commit()


async def _put(site: Site, uploads: list[Upload]) -> None:
    await site.backend.put("by-hand", uploads[0])


async def _peek(site: Site, uploads: list[Upload]) -> None:
    with suppress(ContentConsumedError):
        await uploads[0].peek(5)
    await _save(site, uploads)


WAYS: dict[str, Store] = {
    way.__name__: way
    for way in (
        _create,
        _create_of_file_objects,
        _update,
        _replace,
        _append,
        _stored,
        _save,
        _assign,
        _assign_a_list,
        _put,
        _peek,
    )
}


async def _all_at_first(uploads: Uploads) -> list[Upload]:
    return [upload async for upload in uploads]


async def _by_hand(uploads: Uploads) -> list[Upload]:
    read = []
    async for upload in uploads:
        _ = [chunk async for chunk in upload]
        read.append(upload)
    return read


async def _closed(uploads: Uploads) -> list[Upload]:
    closed = []
    async for upload in uploads:
        await upload.aclose()
        closed.append(upload)
    return closed


async def _the_first_while_the_second_is_read(uploads: Uploads) -> list[Upload]:
    both: list[Upload] = []
    async for upload in uploads:
        both.append(upload)
        if len(both) == 2:
            break
    return both[:1]


LOSSES = [_all_at_first, _by_hand, _closed, _the_first_while_the_second_is_read]


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("way", WAYS)
async def test_an_upload_that_is_over_is_refused(albums: Site, way: str, lose: object) -> None:
    """Whatever was done to an upload, and wherever it is stored then: ContentConsumedError, and nothing is replaced."""
    albums.app.state.lose, albums.app.state.store = lose, WAYS[way]
    for route in ("/plain", "/examined"):
        for contents in ((b"one", b"two"), (b"", b""), (b"x" * 300_000, b"y" * 300_000)):
            response = await albums.client.post(route, files=form(*contents))
            assert response.json().startswith("refused: "), (route, len(contents[0]), response.text)

    await assert_unharmed(albums)


@pytest.mark.parametrize("content", [b"one", b""])
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_single_upload_that_was_read_is_refused(albums: Site, way: str, raw: bool, content: bytes) -> None:
    """A body that the route has read by hand, a form's or a raw one's, an empty one's too, is not stored again."""
    albums.app.state.store = WAYS[way]
    sent: dict[str, Any] = {"content": content, "headers": {"content-type": "text/plain"}}
    response = await albums.client.post("/single", **(sent if raw else {"files": form(content)}))

    assert response.json().startswith("refused: "), response.text
    await assert_unharmed(albums)


async def test_a_first_file_that_is_stored_after_the_loop_was_left(albums: Site) -> None:
    """The file that a loop stops at is not passed over, and is stored whole."""

    async def first(uploads: Uploads) -> list[Upload]:
        async for upload in uploads:
            return [upload]
        return []

    albums.app.state.lose, albums.app.state.store = first, _update_and_commit
    response = await albums.client.post("/plain", files=form(b"x" * 300_000, b"two"))

    assert response.json() == "stored"
    async with albums.session() as session:
        assert (await session.get(Album, 1)).cover.size == 300_000


async def _update_and_commit(site: Site, uploads: list[Upload]) -> None:
    async with site.session() as session:
        service = FileService(session, model=Album)
        await service.update(1, {"cover": uploads[0]})
        await service.commit()
