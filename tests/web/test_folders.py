"""A router whose column chooses the folder of its files by the row."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Header
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject
from tests.web.conftest import Serve
from tests.web.site import Site


class Base(DeclarativeBase):
    """The tables of these tests."""


def of_owner(row: Mapping[str, Any]) -> str:
    """Choose the folder of a row's owner."""
    return f"owners/{row['owner']}/"


class Letter(Base):
    """A row with a file in a folder of its owner."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web", prefix=of_owner))


def owner_of(x_owner: str = Header()) -> str:
    """Say who asks."""
    return x_owner


def build(app: FastAPI, files: Filestore) -> None:
    """Add the router."""
    app.include_router(files.router(Letter, defaults={"owner": owner_of}), prefix="/letters")


async def make_tables(site: Site) -> None:
    """Make the tables of these tests."""
    async with site.session() as session:
        await (await session.connection()).run_sync(Base.metadata.create_all)
        await session.commit()


async def test_files_go_to_the_folder_of_their_row(serve: Serve) -> None:
    """A new file goes to the folder of who the row is of, and what replaces it as well, whoever replaces it."""
    async with serve(build=build) as site:
        await make_tables(site)
        files = {"file": ("a.txt", b"one", "text/plain")}
        created = await site.client.post("/letters/", files=files, headers={"X-Owner": "ann"})
        (first,) = await site.keys()
        url = f"/letters/{created.json()['id']}/file"
        replaced = await site.client.put(url, content=b"two", headers={"X-Owner": "bob", "Content-Type": "text/plain"})
        (second,) = await site.keys()

        assert (created.status_code, replaced.status_code) == (201, 200)
        assert first != second
        assert all(re.fullmatch(r"owners/ann/([0-9a-f]{2})/\1[0-9a-f]{30}", key) for key in (first, second))


async def test_a_folder_that_leads_elsewhere_is_no_folder(serve: Serve) -> None:
    """Who asks can't lead files out of the folders: nothing is stored, and nothing about the store is told."""
    async with serve(build=build) as site:
        await make_tables(site)
        files = {"file": ("a.txt", b"one", "text/plain")}
        answer = await site.client.post("/letters/", files=files, headers={"X-Owner": "../../etc"})

        assert answer.status_code >= 400
        assert "etc" not in answer.text
        assert await site.keys() == set()
