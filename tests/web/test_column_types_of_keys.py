"""Keys and orders whose types are behind decorators, and text of SQLModel."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.orm import Mapped, mapped_column
from sqlmodel import AutoString, Field, SQLModel

from fastapi_filestore import FileObject, FileService, Filestore, StoredObject
from fastapi_filestore.web.routes.schemas import derive_schemas
from tests.servers.postgres import Databases
from tests.web.conftest import Serve
from tests.web.site import problem_in
from tests.web.typed_columns import Base, site

__all__ = ["site"]


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
