"""Columns of every type: what a client may write, and that what it may not is a problem, never a crash."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import AutoString, Field, SQLModel

from fastapi_filestore import FileObject, FileService, Filestore, StoredObject
from fastapi_filestore.web.routes.schemas import derive_schemas
from tests.servers.postgres import Databases
from tests.web.conftest import Serve
from tests.web.site import Site, problem_in


class Base(DeclarativeBase):
    """The tables of this file."""

    metadata = sa.MetaData()


class Size(Enum):
    """An enumeration."""

    SMALL = "s"
    LARGE = "l"


class Address(BaseModel):
    """A value of several parts."""

    street: str
    number: int


class Lower(sa.TypeDecorator[str]):
    """Text that is written small; it changes what it is given."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Fail for whatever is no text."""
        return None if value is None else value.lower()


class Bare(sa.TypeDecorator):  # type: ignore[type-arg]
    """The same without a word of what it takes."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Fail for whatever is no text."""
        return None if value is None else value.lower()


class AsJson(sa.TypeDecorator[Any]):
    """Values of several parts as JSON."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Return what JSON has words for."""
        return None if value is None else value.model_dump()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the value."""
        return None if value is None else Address(**value)


class AsText(sa.TypeDecorator[Any]):
    """An enumeration as text."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Return the text."""
        return None if value is None else value.value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the value."""
        return None if value is None else Size(value)


class Cents(sa.TypeDecorator[Decimal]):
    """Numbers that say their type by themselves."""

    impl = sa.Integer
    cache_ok = True
    python_type = Decimal

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Return the number of cents."""
        return None if value is None else int(value * 100)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the price."""
        return None if value is None else Decimal(value) / 100


class Plainly(sa.types.UserDefinedType[Any]):
    """A type that says nothing of itself."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Be text to the database."""
        return "VARCHAR(100)"


class Opaque:
    """What pydantic knows nothing of."""


class Row(Base):
    """A column of every type."""

    __tablename__ = "column_types"

    id: Mapped[int] = mapped_column(primary_key=True)
    auto: Mapped[str | None] = mapped_column(AutoString(5))
    old_auto = mapped_column(AutoString(5))
    lower: Mapped[str | None] = mapped_column(Lower(5))
    bare = mapped_column(Bare(5))
    address: Mapped[Address | None] = mapped_column(AsJson)
    size: Mapped[Size | None] = mapped_column(AsText(5))
    cents: Mapped[Decimal | None] = mapped_column(Cents)
    plainly = mapped_column(Plainly)
    said: Mapped[int | None] = mapped_column(Plainly)
    opaque: Mapped[Opaque | None] = mapped_column(Plainly)
    enum: Mapped[Size | None] = mapped_column(sa.Enum(Size))
    words = mapped_column(sa.Enum("a", "b", native_enum=False))
    literal: Mapped[Literal["a", "b"] | None]
    variant: Mapped[str | None] = mapped_column(sa.String(5).with_variant(sa.Text(), "mysql"))
    lasted: Mapped[timedelta | None] = mapped_column(sa.Interval)
    moment: Mapped[datetime | None]
    instant: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    free: Mapped[Decimal | None]
    uuid: Mapped[UUID | None]
    uuid_text = mapped_column(sa.Uuid(as_uuid=False))
    wide = mapped_column(sa.JSON().with_variant(postgresql.JSONB(), "postgresql"))
    noted: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(sa.JSON()))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


BEYOND_THE_CALENDAR = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"]
"""Times that a database takes, and Python has no word for, in one time zone or another."""
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "auto": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"], True]),
    "old_auto": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"], True]),
    "lower": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"]]),
    "bare": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"]]),
    "address": ([{"street": "s", "number": 1}], ["s", {"street": "s"}, {"street": "s", "number": "x"}, 5, [1]]),
    "size": (["s"], ["SMALL", "x", {"a": 1}, 5]),
    "cents": (["1.25"], ["x", {"a": 1}, [1]]),
    "plainly": (["text"], [{"a": 1}]),
    "said": ([], ["x", {"a": 1}]),
    "opaque": (["text"], [{"a": 1}]),
    "enum": (["s"], ["SMALL", "x", {"a": 1}]),
    "words": (["a"], ["c", "A", 5, {"a": 1}, ["a"]]),
    "literal": (["a"], ["c", 5, {"a": 1}]),
    "variant": (["abcde"], ["abcdef", 5, {"a": 1}]),
    "lasted": (["PT5S"], ["x", {"a": 1}]),
    "moment": (
        ["2026-11-27T10:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59"],
        ["x", {"a": 1}, "2026-13-01", *BEYOND_THE_CALENDAR],
    ),
    "instant": ([], ["x", *BEYOND_THE_CALENDAR]),
    "free": ([], ["x", "1e131071", "1e-131071", "9" * 1001]),
    "uuid": (["01234567-89ab-cdef-0123-456789abcdef"], ["x", {"a": 1}]),
    "uuid_text": (["01234567-89ab-cdef-0123-456789abcdef"], ["x", "", {"a": 1}]),
    "wide": ([{"a": 1}, [1], "x"], []),
    "noted": ([{"a": 1}], [[1], "x", 5]),
}
GOOD = [(name, value) for name, (good, _) in VALUES.items() for value in good]
BAD = [(name, value) for name, (_, bad) in VALUES.items() for value in bad]


def rows(app: FastAPI, files: Filestore) -> None:
    """Mount the rows."""
    app.include_router(files.router(Row), prefix="/rows")


@pytest.fixture(params=["sqlite", "sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg"])
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Any) -> AsyncIterator[Site]:
    """A site on every database, with one row."""
    url = f"{request.param}:///{tmp_path}/types.db"
    if request.param.startswith("postgresql"):
        databases: Databases = request.getfixturevalue("postgres_databases")
        url = databases.copy("column types", Base.metadata.create_all).url(request.param)
    else:
        engine = sa.create_engine(f"sqlite:///{tmp_path}/types.db")
        Base.metadata.create_all(engine)
        engine.dispose()
    async with serve(url, build=rows) as site:
        (await site.client.post("/rows/", files={"file": b"a"})).raise_for_status()
        yield site


def in_form(value: Any) -> str:
    """Write a value as a form's field."""
    return value if isinstance(value, str) else json.dumps(value)


async def test_what_fits_is_taken(site: Site) -> None:
    """A value that the column is for is in the row, and is read as it was sent, by a change and by a form."""
    for name, value in GOOD:
        changed = await site.client.patch("/rows/1", json={name: value})
        text = json.dumps(value) if name in {"wide", "noted", "address"} else in_form(value)
        created = await site.client.post("/rows/", files={"file": b"a"}, data={name: text})

        assert (changed.status_code, changed.json().get(name)) == (200, value), (name, changed.text)
        assert (created.status_code, created.json().get(name)) == (201, value), (name, created.text)
    assert (await site.client.get("/rows/")).status_code == 200


async def test_what_does_not_fit_is_a_problem(site: Site) -> None:
    """A value of another type, or too long, is a 422 that changes nothing, however deep it was noticed."""
    before = (await site.client.get("/rows/1")).json()
    for name, value in BAD:
        changed = await site.client.patch("/rows/1", json={name: value})

        assert changed.status_code == 422, (name, value, changed.text)
        problem_in(changed, 422, "invalid-fields")
    assert (await site.client.get("/rows/1")).json() == before


async def test_a_form_that_does_not_fit_is_a_problem(site: Site) -> None:
    """The same of a new row; what is text in a form may be a number's or a list's, which some columns take as text.

    An empty text that is none is no problem: in a form it was not sent.
    """
    for name, value in BAD:
        if isinstance(value, str) and value:
            text = json.dumps(value) if name in {"noted", "address"} else value
            created = await site.client.post("/rows/", files={"file": b"a"}, data={name: text})

            assert created.status_code == 422, (name, value, created.text)
    assert (await site.client.get("/rows/")).json()["items"][0]["id"] == 1


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


class Key(sa.TypeDecorator[UUID]):
    """A key that is kept as text."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Return its digits."""
        return None if value is None else value.hex

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the key."""
        return None if value is None else UUID(value)


class Keyed(Base):
    """A row whose key is behind a decorator."""

    __tablename__ = "keyed_columns"

    id: Mapped[UUID] = mapped_column(Key, primary_key=True, default=uuid4)
    name = mapped_column(AutoString(5), nullable=False)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class ByName(FileService[Keyed]):
    """Rows in an order whose type is behind a decorator."""

    order_by = "name"


@pytest.mark.parametrize("service", [FileService[Keyed], ByName])
@pytest.mark.parametrize("driver", ["sqlite+aiosqlite", "postgresql+asyncpg"])
async def test_keys_and_orders_have_such_types(
    request: pytest.FixtureRequest, serve: Serve, tmp_path: Any, driver: str, service: Any
) -> None:
    """A row is found by its key, what can be none is a 422, and pages lead from one to the next."""

    def keyed(app: FastAPI, files: Filestore) -> None:
        options: Any = {} if service == FileService[Keyed] else {"service": files.service(service)}
        app.include_router(files.router(Keyed, **options), prefix="/keyed")

    url = f"{driver}:///{tmp_path}/keys.db"
    if driver.startswith("postgresql"):
        databases: Databases = request.getfixturevalue("postgres_databases")
        url = databases.copy("column types", Base.metadata.create_all).url(driver)
    async with serve(url, build=keyed) as site:
        if not driver.startswith("postgresql"):
            async with site.sessions.kw["bind"].begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
        made = [await site.client.post("/keyed/", files={"file": b"a"}, data={"name": name}) for name in "bca"]
        ids = [answer.json()["id"] for answer in made]
        first = (await site.client.get("/keyed/?limit=2")).json()
        second = (await site.client.get("/keyed/", params={"after": first["next_cursor"]})).json()

        assert sorted(row["id"] for row in first["items"] + second["items"]) == sorted(ids)
        assert (await site.client.get(f"/keyed/{ids[0]}")).json()["name"] == "b"
        problem_in(await site.client.get("/keyed/x"), 422, "invalid-fields")


class Hero(SQLModel, table=True):
    """A table of SQLModel's."""

    metadata = sa.MetaData()

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=5)
    nick: str | None = None
    file: FileObject | None = Field(default=None, sa_type=StoredObject("web"))


def test_text_of_sqlmodel_is_text() -> None:
    """Its length is that of the field, and nothing but text is one."""
    properties = derive_schemas(Hero).update.model_json_schema()["properties"]

    assert (properties["name"]["type"], properties["name"]["maxLength"]) == ("string", 5)
    assert properties["nick"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
