"""Columns of types that PostgreSQL alone has, in routes: lists, ranges, addresses."""

import json
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject
from fastapi_filestore.web.routes.schemas import derive_schemas
from tests.servers.postgres import Databases
from tests.web.conftest import Serve
from tests.web.site import problem_in
from tests.web.typed_columns import BEYOND_THE_CALENDAR, Base, rows, site

__all__ = ["site"]


class ListBase(DeclarativeBase):
    """Tables that SQLite can't have."""

    metadata = sa.MetaData()


class Lists(ListBase):
    """Lists, as PostgreSQL has them."""

    __tablename__ = "lists_of_columns"

    id: Mapped[int] = mapped_column(primary_key=True)
    told: Mapped[list[list[int]]] = mapped_column(sa.ARRAY(sa.Integer))
    words = mapped_column(sa.ARRAY(sa.String(5)), nullable=False)
    square = mapped_column(sa.ARRAY(sa.Integer, dimensions=2), nullable=False)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


@pytest.mark.parametrize(
    ("values", "is_fit"),
    [
        ({"told": [[1], [2]], "words": ["a", None], "square": [[1, 2]]}, True),
        ({"told": [1]}, False),
        ({"told": [["x"]]}, False),
        ({"words": "a"}, False),
        ({"words": [{"a": 1}]}, False),
        ({"square": [1]}, False),
    ],
)
def test_lists_have_items_of_their_type(values: dict[str, Any], is_fit: bool) -> None:
    """The annotation says how deep they are, or else the column; a form has them as JSON's text."""
    update = derive_schemas(Lists).update
    try:
        update.model_validate_json(json.dumps(values))
    except ValueError:
        assert not is_fit
    else:
        assert is_fit
    said = derive_schemas(Lists).create.model_json_schema()["properties"]
    assert {said[name]["contentMediaType"] for name in ("told", "words", "square")} == {"application/json"}


class OfPostgres(ListBase):
    """Types that PostgreSQL alone has, called text as many do, and lists of what it may give back too much of."""

    __tablename__ = "types_of_postgres"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str | None] = mapped_column(postgresql.INET)
    network: Mapped[str | None] = mapped_column(postgresql.CIDR)
    sought: Mapped[str | None] = mapped_column(postgresql.TSQUERY)
    moments = mapped_column(sa.ARRAY(sa.DateTime(timezone=True)))
    numbers = mapped_column(sa.ARRAY(sa.Numeric))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


@pytest.mark.parametrize(
    ("values", "is_fit"),
    [
        ({"address": "1.2.3.4"}, True),
        ({"network": "10.0.0.0/8"}, True),
        ({"address": "no address"}, False),
        ({"sought": "'a' & 'b'"}, True),
        ({"sought": "24:00:00"}, False),
        ({"moments": [BEYOND_THE_CALENDAR[0]]}, False),
        ({"moments": ["2026-11-27T10:00:00Z"]}, True),
        ({"numbers": ["1.5"]}, True),
        ({"numbers": ["1e131071"]}, False),
    ],
)
@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_types_of_postgres(
    postgres_databases: Databases, serve: Serve, driver: str, values: dict[str, Any], is_fit: bool
) -> None:
    """What it takes is read again, by itself and on a page, whatever its driver makes of it; the rest is a 422."""

    def mount(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(OfPostgres), prefix="/rows")

    url = postgres_databases.copy("types of postgres", ListBase.metadata.create_all).url(driver)
    async with serve(url, build=mount) as site:
        (await site.client.post("/rows/", files={"file": b"a"})).raise_for_status()
        changed = await site.client.patch("/rows/1", json=values)
        read = [await site.client.get(path) for path in ("/rows/", "/rows/1")]

    assert [answer.status_code for answer in (changed, *read)] == [200 if is_fit else 422, 200, 200]
    (name,) = values
    shown = read[1].json()[name]
    assert (shown is not None) is is_fit
    assert shown is None or isinstance(shown, list) or shown.startswith(values[name])


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
async def test_a_row_that_the_driver_cannot_read(postgres_databases: Databases, serve: Serve, driver: str) -> None:
    """A list with a row that another program wrote, and no driver reads, does not blame the client for it."""
    database = postgres_databases.copy("column types", Base.metadata.create_all)
    async with serve(database.url(driver), build=rows) as site:
        (await site.client.post("/rows/", files={"file": b"a"})).raise_for_status()
        database.execute("UPDATE column_types SET moment = '0044-03-15 BC'")
        with suppress(OverflowError):  # which asyncpg raises, and the application has to answer
            problem_in(await site.client.get("/rows/"), 500, "database-error")
