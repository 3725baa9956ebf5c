"""Files on the pages of admins reach those who may see their row."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request

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


def add_hidden(app: FastAPI, engine: Any) -> None:
    """Add pages of SQLAdmin that show no rows."""
    sqladmin.Admin(app, engine).add_view(HiddenPerson)


def add_hidden_row(app: FastAPI, engine: Any) -> None:
    """Add pages of SQLAdmin that show not this row."""
    sqladmin.Admin(app, engine).add_view(HiddenRow)


def add_hidden_view(app: FastAPI, engine: Any) -> None:
    """Add pages of starlette-admin that show no rows."""
    admin = starlette_admin.Admin(engine, secret_key="of the test")
    admin.add_view(HiddenView(Person))
    admin.mount_to(app)


@pytest.mark.parametrize(
    ("name", "add"),
    [("sqladmin", add_hidden), ("sqladmin", add_hidden_row), ("starlette-admin", add_hidden_view)],
)
async def test_a_file_of_a_hidden_row(name: str, add: Callable[[FastAPI, Any], None], tmp_path: Path) -> None:
    """A link that somebody was given is refused to those who may not see the page of the row."""
    admin = ADMINS[name]
    async with running(admin, tmp_path, is_async=False) as app, Pages(app, admin, tmp_path) as pages:
        await pages.open()
        await pages.create()
        (url, _), *_ = await pages.links("list")
        shown = await pages.get(url)
    hidden = replace(admin, add_to=add)
    async with running(hidden, tmp_path, is_async=True) as app, Pages(app, hidden, tmp_path) as pages:
        listed = await pages.get(admin.url("list"))
        refused = await pages.get(url)

    assert (shown.text, listed.status_code, refused.status_code) == ("photo", 200, 403)
