"""Uploads that were passed over, or read by somebody else: never stored as empty files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_filestore import ContentConsumedError, FileObject, FileService, Filestore, Upload, UploadError, Uploads
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site

Store = Callable[[Site, "list[Upload]"], Awaitable[object]]
"""A way to store uploads that nothing is left of."""


class Text:
    """Takes anything; it makes the route look at the first bytes of every file, which is all of a short one."""

    async def validate(self, head: bytes, upload: Any) -> None:
        """Refuse one file."""
        if head == b"refused":
            raise UploadError("refused")


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


def build(app: FastAPI, files: Filestore) -> None:
    """Add routes that do to uploads what the test says."""

    @app.post("/plain")
    async def plain(uploads: Annotated[Uploads, Depends(files.uploads("photos", max_files=5))]) -> str:
        return await told(await app.state.lose(uploads))

    @app.post("/examined")
    async def examined(
        uploads: Annotated[Uploads, Depends(files.uploads("photos", max_files=5, validators=[Text()]))],
    ) -> str:
        return await told(await app.state.lose(uploads))

    @app.post("/single")
    async def single(upload: Annotated[Upload, Depends(files.upload("photos"))]) -> str:
        _ = [chunk async for chunk in upload]
        return await told([upload])

    async def told(uploads: list[Upload]) -> str:
        try:
            await app.state.store(app.state.site, uploads)
        except ContentConsumedError as error:
            return f"refused: {error}"
        return "stored"


@pytest.fixture
async def albums(serve: Serve) -> AsyncIterator[Site]:
    """A site with an album that has a cover and photos."""
    async with serve(build=build, shared=True) as site:
        site.app.state.site = site
        async with site.session() as session:
            cover, photo = FileObject(content=b"cover"), FileObject(content=b"photo")
            session.add(Album(id=1, cover=cover, photos=[photo]))
            await session.commit()
        yield site


def form(*contents: bytes) -> list[Any]:
    """Return the files of a form."""
    return [("photos", (f"{number}.txt", content, "text/plain")) for number, content in enumerate(contents)]


async def assert_unharmed(site: Site) -> None:
    """Assert that the album is as it was, and nothing else is stored."""
    await site.check()
    async with site.session() as session:
        album = await session.get(Album, 1)
        files = [album.cover, *album.photos]

    assert [await file.get_content_async() for file in files] == [b"cover", b"photo"]
    assert (len(await site.keys()), await site.rows(Album)) == (2, 1)


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


async def test_empty_files_are_stored(albums: Site) -> None:
    """Files of no bytes that are stored as they come are files like others."""

    async def stored(uploads: Uploads) -> list[Upload]:
        async with albums.session() as session:
            service = FileService(session, model=Album)
            row = await service.create({"photos": uploads})
            assert [photo.size for photo in row.photos or []] == [0, 0]
            await service.commit()
        return []

    async def nothing(site: Site, uploads: list[Upload]) -> None: ...

    albums.app.state.lose, albums.app.state.store = stored, nothing

    assert (await albums.client.post("/plain", files=form(b"", b""))).json() == "stored"


async def test_tasks_that_fall_behind_the_form(albums: Site) -> None:
    """Files that tasks store while the form is read on are stored whole, or refused; never a part of one."""
    contents = [bytes([65 + number]) * 200_000 for number in range(5)]

    async def in_tasks(uploads: Uploads) -> list[Upload]:
        saves = []
        async for upload in uploads:
            saves.append(asyncio.create_task(FileObject("web").save_async(upload)))
            await asyncio.sleep(0)
        results = await asyncio.gather(*saves, return_exceptions=True)
        files = [file for file in results if isinstance(file, FileObject)]
        assert {type(result) for result in results} <= {FileObject, ContentConsumedError}
        assert {await file.get_content_async() for file in files} <= set(contents)
        for file in files:
            await file.delete_async()
        return []

    albums.app.state.lose, albums.app.state.store = in_tasks, _no_file
    await albums.client.post("/plain", files=form(*contents))
    await assert_unharmed(albums)


async def _no_file(site: Site, uploads: list[Upload]) -> None:
    raise ContentConsumedError("There is none.")


@pytest.fixture
async def peeked(serve: Serve) -> AsyncIterator[Site]:
    """A site whose route looks at a file, and stores it though that failed."""

    def build(app: FastAPI, files: Filestore) -> None:
        @app.post("/peeked")
        async def peek(
            upload: Annotated[Upload, Depends(files.upload(max_size=1000))],
            service: Annotated[FileService[Document], Depends(files.service(Document))],
        ) -> None:
            with pytest.raises(UploadError):
                await upload.peek(5000)
            await service.create({"title": "t", "file": upload})

    async with serve(build=build) as site:
        yield site


async def test_a_file_whose_beginning_could_not_be_read(peeked: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An upload that failed while a route looked at it has no end, so it is not stored as what came of it."""
    response = await peeked.client.post("/peeked", content=_long(), headers={"content-type": "text/plain"})

    assert response.status_code == 500
    assert "ContentConsumedError: The reading of this content was broken off" in caplog.text
    await peeked.check_empty()


async def _long() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 200
