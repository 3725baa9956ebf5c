"""Columns of every type, and types of columns that say little of themselves."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import AutoString

from fastapi_filestore import FileObject, Filestore, StoredObject
from tests.servers.postgres import Databases
from tests.web.conftest import Serve
from tests.web.site import Site


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
