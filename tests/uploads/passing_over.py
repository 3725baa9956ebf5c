"""Ways to lose an upload, and ways to store what is left of it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_filestore import ContentConsumedError, FileObject, Filestore, Upload, UploadError, Uploads
from tests.web.conftest import Serve
from tests.web.models import Album
from tests.web.site import Site


class Text:
    """Takes anything; it makes the route look at the first bytes of every file, which is all of a short one."""

    async def validate(self, head: bytes, upload: Any) -> None:
        """Refuse one file."""
        if head == b"refused":
            raise UploadError("refused")


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
