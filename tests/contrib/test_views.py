"""Views of admins beyond a model's plain one: mistakes, copies, formatters, inlines, SQLModel."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqladmin as plain_sqladmin
from fastapi import FastAPI
from sqlalchemy import Engine, ForeignKey, MetaData, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlmodel import Field, SQLModel
from starlette.requests import Request
from starlette_admin.contrib import sqla, sqlmodel

from fastapi_filestore import ConfigurationError, FileObject, Filestore, FilestoreSettings, StoredObject
from fastapi_filestore.contrib import sqladmin, starlette_admin
from tests.contrib.admins import ADMINS, EMPTY, Admin, Pages, PersonAdmin, running
from tests.contrib.people import Person, last_person, stored


class Base(DeclarativeBase):
    """Albums and their pictures."""


class Album(Base):
    """An album."""

    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    pictures: Mapped[list["Picture"]] = relationship(cascade="all, delete-orphan")


class Picture(Base):
    """A picture of an album."""

    __tablename__ = "pictures"
    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int] = mapped_column(ForeignKey(Album.id))
    file: Mapped[FileObject] = mapped_column(StoredObject())


class Letter(SQLModel, table=True):
    """A letter, with SQLModel."""

    metadata = MetaData()
    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(min_length=2)
    file: FileObject = Field(sa_type=StoredObject(content_types=["text/plain"]))


class PictureInline(starlette_admin.InlineModelView):
    """The pictures on the page of their album."""

    model = Picture  # type: ignore[misc] # a variable of instances in one of their classes


class AlbumView(sqla.ModelView):
    """The pages of albums."""

    inlines = (PictureInline,)
    fields: Any = ("id", "title")


class LetterView(starlette_admin.ModelView, sqlmodel.ModelView):
    """The pages of letters."""


def test_a_view_that_knows_nothing_of_files() -> None:
    """A view of the admin's own is refused with what to take instead, where its rows have files."""

    class Plain(plain_sqladmin.ModelView, model=Person):
        """SQLAdmin's own."""

    engine = create_engine("sqlite://")
    with pytest.raises(ConfigurationError, match=r"Plain shows Person.*contrib\.sqladmin\.ModelView"):
        sqladmin.Admin(FastAPI(), engine).add_view(Plain)
    admin = starlette_admin.Admin(engine, secret_key="of the test")
    with pytest.raises(ConfigurationError, match=r"ModelView shows Person.*contrib\.starlette_admin"):
        admin.add_view(sqla.ModelView(Person))


def add_to_plain_sqladmin(app: FastAPI, engine: Any) -> None:
    """Give a view that knows files to an admin that does not."""
    plain_sqladmin.Admin(app, engine).add_view(PersonAdmin)


def add_to_plain_starlette_admin(app: FastAPI, engine: Any) -> None:
    """Do so with starlette-admin."""
    admin = sqla.Admin(engine, secret_key="of the test")
    admin.add_view(starlette_admin.ModelView(Person))
    admin.mount_to(app)


@pytest.mark.parametrize(
    ("name", "add"), [("sqladmin", add_to_plain_sqladmin), ("starlette-admin", add_to_plain_starlette_admin)]
)
async def test_an_admin_that_knows_nothing_of_files(
    name: str, add: Callable[[FastAPI, Any], None], tmp_path: Path
) -> None:
    """The error says which one to take."""
    admin = ADMINS[name]
    async with running(admin, tmp_path, is_async=False) as app, Pages(app, admin, tmp_path) as pages:
        await pages.open()
        await pages.create()
    plain = replace(admin, add_to=add)
    async with running(plain, tmp_path, is_async=True) as app, Pages(app, plain, tmp_path) as pages:
        with pytest.raises(ConfigurationError, match="give it to Admin of fastapi_filestore"):
            await pages.get(plain.url("edit"))


@pytest.mark.parametrize("is_async", [False, True])
async def test_save_as_new(is_async: bool, tmp_path: Path) -> None:
    """With SQLAdmin, a copy of a row has copies of the files that are kept."""
    admin = ADMINS["sqladmin"]
    async with running(admin, tmp_path, is_async=is_async) as app, Pages(app, admin, tmp_path) as pages:
        await pages.create(letter=("l.txt", b"letter", "text/plain"))
        name, (first, _) = await pages.boxes("certificates")
        answer = await pages.edit(data={"save": "Save as new", name: first}, letter=("m.txt", b"other", "text/plain"))
        deleted = await pages.delete("/admin/person/delete?pks=1")

    row = last_person(tmp_path)
    assert (answer.status_code, deleted.status_code) == (200, 200)
    assert (row.id, row.photo.filename, [file.filename for file in row.certificates]) == (2, "a.txt", ["two.txt"])
    assert stored(tmp_path) == {"photo", "two", "other"}


async def test_exports(tmp_path: Path) -> None:
    """With SQLAdmin, exports have the names of files, and not where they lie."""
    admin = ADMINS["sqladmin"]
    async with running(admin, tmp_path, is_async=False) as app, Pages(app, admin, tmp_path) as pages:
        await pages.create()
        csv, json = [await pages.get(f"/admin/person/export/{kind}") for kind in ("csv", "json")]

    assert csv.text.splitlines()[1] == '1,Ada,a.txt,None,"one.txt, two.txt"'
    assert json.json()[0]["certificates"] == ["one.txt", "two.txt"]


class Hooked(sqladmin.ModelView, model=Person):
    """A view whose hook fails, or is slower than somebody else."""

    save_as = True
    folder: Path

    async def on_model_change(self, data: dict[str, Any], model: Any, is_created: bool, request: Request) -> None:
        """Fail, or let another transaction add a certificate."""
        if is_created:
            raise ZeroDivisionError
        engine = create_engine(f"sqlite:///{self.folder}/rows.db")
        with Session(engine) as session:
            row = session.get_one(Person, 1)
            row.certificates.append(FileObject(filename="meanwhile.txt", content=b"meanwhile"))
            session.commit()
        engine.dispose()


async def test_a_hook(tmp_path: Path) -> None:
    """With SQLAdmin, a copy whose hook fails leaves nothing, and a list that changes meanwhile loses nothing."""
    admin = ADMINS["sqladmin"]
    async with running(admin, tmp_path, is_async=False) as app, Pages(app, admin, tmp_path) as pages:
        await pages.create()
        name, (first, _) = await pages.boxes("certificates")
    view = type("HookedAdmin", (Hooked,), {"folder": tmp_path})
    hooked = Admin("hooked", admin.pages, admin.box, lambda app, engine: sqladmin.Admin(app, engine).add_view(view))
    async with running(hooked, tmp_path, is_async=True) as app, Pages(app, hooked, tmp_path) as pages:
        copied = await pages.edit(data={"save": "Save as new"})
        edited = await pages.edit(data={name: first})
        kept = await pages.edit()

    certificates = [file.filename for file in last_person(tmp_path).certificates]
    assert (copied.status_code, edited.status_code, kept.status_code) == (400, 400, 200)
    assert certificates == ["one.txt", "two.txt", "meanwhile.txt", "meanwhile.txt"]
    assert stored(tmp_path) == {"photo", "one", "two", "meanwhile"}


def build(view: sqla.ModelView, engine: Engine, folder: Path) -> tuple[FastAPI, Filestore]:
    """Return an application with the pages of a view."""
    backends: Any = {"default": {"url": f"file://{folder}/files/"}}
    files, app = Filestore(settings=FilestoreSettings(backends=backends)), FastAPI()
    admin = starlette_admin.Admin(engine, secret_key="of the test")
    admin.add_view(view)
    admin.mount_to(app)
    return app, files


async def post(app: FastAPI, path: str, data: dict[str, str], **files: tuple[str, bytes, str]) -> httpx.Response:
    """Send a form, as a browser does."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True
    ) as client:
        token = (await client.get("/admin/")).cookies.get("starlette_admin_csrftoken") or ""
        return await client.post(path, data=data, files=files, headers={"X-CSRFToken": token})


async def test_an_inline(tmp_path: Path) -> None:
    """With starlette-admin, pictures are added, kept and replaced on the page of their album."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    Base.metadata.create_all(engine)
    app, files = build(AlbumView(Album), engine, tmp_path)
    async with files.lifespan(app):
        created = await post(
            app,
            "/admin/album/create",
            {"title": "One"},
            **{
                "inlines.picture.0.file": ("a.txt", b"a", "text/plain"),
                "inlines.picture.1.file": ("b.txt", b"b", "text/plain"),
            },
        )
        with Session(engine) as session:
            pictures = [str(picture.id) for picture in session.query(Picture)]
        edited = await post(
            app,
            "/admin/album/edit?pk=1",
            {"title": "Two", "inlines.picture.0.pk": pictures[0], "inlines.picture.1.pk": pictures[1]},
            **{"inlines.picture.0.file": EMPTY, "inlines.picture.1.file": ("c.txt", b"c", "text/plain")},
        )

    engine.dispose()
    assert (created.status_code, edited.status_code) == (200, 200)
    assert stored(tmp_path) == {"a", "c"}


async def test_sqlmodel(tmp_path: Path) -> None:
    """With starlette-admin, rows of SQLModel are added and kept, and each problem is told at its field."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    Letter.metadata.create_all(engine)
    app, files = build(LetterView(Letter), engine, tmp_path)
    async with files.lifespan(app):
        sent = {"file": ("a.txt", b"a", "text/plain")}
        answers = [
            await post(app, "/admin/letter/create", {"title": "t"}, **sent),
            await post(app, "/admin/letter/create", {"title": "title"}, file=("a.png", b"\x89PNG", "image/png")),
            await post(app, "/admin/letter/create", {"title": "title"}, **sent),
            await post(app, "/admin/letter/edit?pk=1", {"title": "other"}, file=EMPTY),
        ]
    engine.dispose()

    assert [answer.status_code for answer in answers] == [422, 422, 200, 200]
    assert "image/png" in answers[1].text.partition('id="file-error"')[2]
    assert stored(tmp_path) == {"a"}
