"""An application with each of the admins, and how a browser uses its pages."""

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.types import ASGIApp

from fastapi_filestore import Filestore, FilestoreSettings
from fastapi_filestore.contrib import sqladmin, starlette_admin
from tests.contrib.people import Base, Person

File = tuple[str, bytes, str]
EMPTY: File = ("", b"", "application/octet-stream")
"""What a browser sends for an input that was left empty."""


class PersonAdmin(sqladmin.ModelView, model=Person):
    """The pages of people, by SQLAdmin."""

    column_list = "__all__"
    save_as = True


def add_sqladmin(app: FastAPI, engine: Engine | AsyncEngine) -> None:
    """Add the pages of SQLAdmin."""
    sqladmin.Admin(app, engine).add_view(PersonAdmin)


def add_starlette_admin(app: FastAPI, engine: Engine | AsyncEngine) -> None:
    """Add the pages of starlette-admin."""
    admin = starlette_admin.Admin(engine, secret_key="of the test")
    admin.add_view(starlette_admin.ModelView(Person))
    admin.mount_to(app)


@dataclass
class Admin:
    """How an admin names its pages, and the boxes that remove files."""

    name: str
    pages: dict[str, str]
    box: str
    add_to: Callable[[FastAPI, Engine | AsyncEngine], None]
    """Add its pages to an application."""

    def url(self, page: str, row: int = 1) -> str:
        """Return the path of a page."""
        return self.pages[page].format(row)


ADMINS = {
    "sqladmin": Admin(
        "sqladmin",
        {
            "list": "/admin/person/list",
            "details": "/admin/person/details/{}",
            "create": "/admin/person/create",
            "edit": "/admin/person/edit/{}",
        },
        "{}_checkbox",
        add_sqladmin,
    ),
    "starlette-admin": Admin(
        "starlette-admin",
        {
            "list": "/admin/person/list",
            "details": "/admin/person/detail?pk={}",
            "create": "/admin/person/create",
            "edit": "/admin/person/edit?pk={}",
        },
        "_{}-delete",
        add_starlette_admin,
    ),
}


@asynccontextmanager
async def running(admin: Admin, folder: Path, *, is_async: bool) -> AsyncIterator[FastAPI]:
    """Open an application with an admin, on either kind of engine, whose rows and files are in a folder."""
    blocking = create_engine(f"sqlite:///{folder}/rows.db")
    Base.metadata.create_all(blocking)
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/rows.db") if is_async else blocking
    settings = FilestoreSettings(backends={"default": {"url": f"file://{folder}/files/"}})
    files = Filestore(settings=settings)
    app = FastAPI(lifespan=files.lifespan)
    admin.add_to(app, engine)
    try:
        async with files.lifespan(app):
            yield app
    finally:
        blocking.dispose()
        if isinstance(engine, AsyncEngine):
            await engine.dispose()


def build() -> FastAPI:
    """Return the application of a process: with the admin that ADMIN names, and all that it keeps in FOLDER."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(ADMINS[os.environ["ADMIN"]], Path(os.environ["FOLDER"]), is_async=True) as site:
            app.mount("/", site)
            yield

    return FastAPI(lifespan=lifespan)


class Pages(httpx.AsyncClient):
    """The pages of an admin, as a browser without scripts has them."""

    def __init__(self, app: ASGIApp, admin: Admin, folder: Path) -> None:
        super().__init__(transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True)
        self.admin, self.folder = admin, folder

    async def open(self) -> None:
        """Open the first page, whose cookie is the token that starlette-admin wants back with every form."""
        answer = await self.get("/admin/")
        self.headers["X-CSRFToken"] = answer.cookies.get("starlette_admin_csrftoken") or ""

    async def create(self, *, photo: File = ("a.txt", b"photo", "text/plain"), **files: File) -> httpx.Response:
        """Send the form for a new person with two certificates."""
        certificates = [("certificates", (f"{text}.txt", text.encode(), "text/plain")) for text in ("one", "two")]
        sent = [("photo", photo), ("letter", files.get("letter", EMPTY)), *certificates]
        return await self.post(self.admin.url("create"), data={"name": "Ada"}, files=sent)

    async def edit(self, *, row: int = 1, data: dict[str, str] | None = None, **files: File) -> httpx.Response:
        """Send the form of a person, whose inputs for files are empty but for those given."""
        inputs = {"photo": EMPTY, "letter": EMPTY, "certificates": EMPTY} | files
        return await self.post(self.admin.url("edit", row), data={"name": "Ada", **(data or {})}, files=inputs)

    async def boxes(self, column: str) -> tuple[str, list[str]]:
        """Return the name and the values of the boxes that remove files of a column of the first person."""
        page = (await self.get(self.admin.url("edit"))).text
        name = self.admin.box.format(column)
        return name, re.findall(rf'name="{name}"\s+value="([^"]+)"', page)

    async def links(self, page: str) -> list[tuple[str, str]]:
        """Return the links to files on a page: URL and text."""
        found = re.findall(
            r'<a href="([^"]*/file[^"]*)">\s*([^<]*?)\s*</a>', (await self.get(self.admin.url(page))).text
        )
        return [(unescape(url), unescape(text)) for url, text in found]
