"""Files on the pages of admins reach those who may see their row."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.requests import Request

from fastapi_filestore import Filestore, FilestoreSettings
from fastapi_filestore.contrib import sqladmin, starlette_admin
from tests.contrib.admins import ADMINS, Pages, running
from tests.contrib.people import Person


class HiddenPerson(sqladmin.ModelView, model=Person):
    """Pages of SQLAdmin that list people, and show none."""

    can_view_details = False


class HiddenRow(sqladmin.ModelView, model=Person):
    """Pages of SQLAdmin that show nobody this row."""

    async def check_can_view_details(self, request: Request, model: Any) -> bool:
        """Refuse."""
        return False


class HiddenView(starlette_admin.ModelView):
    """Pages of starlette-admin that list people, and show none."""

    def can_view_detail(self, request: Request) -> bool:
        """Refuse."""
        return False


def add_sqladmin(view: type[sqladmin.ModelView], app: FastAPI, engine: AsyncEngine) -> None:
    """Add pages of SQLAdmin."""
    sqladmin.Admin(app, engine).add_view(view)


def add_starlette_admin(view: type[starlette_admin.ModelView], app: FastAPI, engine: AsyncEngine) -> None:
    """Add pages of starlette-admin."""
    admin = starlette_admin.Admin(engine, secret_key="of the test")
    admin.add_view(view(Person))
    admin.mount_to(app)


@pytest.mark.parametrize(
    ("name", "view", "add"),
    [
        ("sqladmin", HiddenPerson, add_sqladmin),
        ("sqladmin", HiddenRow, add_sqladmin),
        ("starlette-admin", HiddenView, add_starlette_admin),
    ],
    ids=["sqladmin, all", "sqladmin, a row", "starlette-admin"],
)
async def test_a_file_of_a_hidden_row(name: str, view: Any, add: Any, tmp_path: Path) -> None:
    """A link that somebody was given is refused to those who may not see the page of the row."""
    admin = ADMINS[name]
    async with running(admin, tmp_path, is_async=False) as app, Pages(app, admin, tmp_path) as pages:
        await pages.open()
        await pages.create()
        (url, _), *_ = await pages.links("list")
        shown = await pages.get(url)
    backends: Any = {"default": {"url": f"file://{tmp_path}/files/"}}
    files, app = Filestore(settings=FilestoreSettings(backends=backends)), FastAPI()
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    add(view, app, engine)
    transport = httpx.ASGITransport(app)
    async with files.lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        listed = await client.get(admin.url("list"))
        refused = await client.get(url)
    await engine.dispose()

    assert (shown.text, listed.status_code, refused.status_code) == ("photo", 200, 403)
