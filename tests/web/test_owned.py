"""What a mapper sets by itself is nothing that a client may set: the class of a row, its version, its joins."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, create_model
from sqlalchemy import Boolean, ForeignKey, Integer, MetaData, String, case, func, inspect
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    composite,
    declared_attr,
    mapped_column,
    synonym,
)

from fastapi_filestore import ConfigurationError, FileObject, Filestore, StoredObject
from fastapi_filestore.web.routes.model_attributes import owned_names
from fastapi_filestore.web.routes.schemas import derive_schemas
from tests.web.conftest import Serve
from tests.web.site import Site, problem_in


class Base(DeclarativeBase):
    """The tables of this file."""

    metadata = MetaData()


class Filed:
    """A row with a number and a file."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), default="n")

    @declared_attr
    def file(cls) -> Mapped[FileObject | None]:  # noqa: N805 - SQLAlchemy calls it so
        """Any file."""
        return mapped_column(StoredObject(backend="web"))


class Animal(Filed, Base):
    """Told apart by an attribute; one heir has a table of its own, the other shares this one."""

    __tablename__ = "owned_animals"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012

    kind: Mapped[str] = mapped_column(String(10), default="animal")
    species = synonym("kind")


class Dog(Animal):
    """An heir with a table, joined by a column of the same name."""

    __tablename__ = "owned_dogs"
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("owned_animals.id"), primary_key=True)
    breed: Mapped[str | None] = mapped_column(String(10))


class Cat(Animal):
    """An heir without a table."""

    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012

    lives: Mapped[int | None]


class Horse(Animal):
    """An heir with a table, joined by a column of another name."""

    __tablename__ = "owned_horses"
    __mapper_args__ = {"polymorphic_identity": "horse"}  # noqa: RUF012

    horse_id: Mapped[int] = mapped_column(ForeignKey("owned_animals.id"), primary_key=True)


class Vehicle(Filed, Base):
    """Told apart by an expression of two columns, and counted in versions."""

    __tablename__ = "owned_vehicles"

    wheels = mapped_column(Integer, default=4)
    motor = mapped_column(Boolean, default=True)
    version = mapped_column(Integer)
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_on": case((wheels.column == 2, "two"), (motor.column, "motor"), else_="other"),
        "polymorphic_identity": "motor",
        "version_id_col": version,
    }


class Label:
    """Two columns as one value."""

    def __init__(self, sort: str, text: str) -> None:
        self.sort, self.text = sort, text

    def __composite_values__(self) -> tuple[str, str]:
        return self.sort, self.text


class Thing(Filed, Base):
    """Told apart by what is half of a value."""

    __tablename__ = "owned_things"
    __mapper_args__ = {"polymorphic_on": "told", "polymorphic_identity": "T"}  # noqa: RUF012

    sort: Mapped[str] = mapped_column("which_sort", String(10), default="t")
    text: Mapped[str] = mapped_column(String(10), default="t")
    label: Mapped[Label] = composite("sort", "text")
    told: Mapped[str] = column_property(func.upper(sort))


OWNED: dict[Any, set[str]] = {
    Animal: {"kind", "species"},
    Dog: {"kind", "species"},
    Cat: {"kind", "species"},
    Horse: {"kind", "species", "horse_id"},
    Thing: {"sort", "label", "told"},
    Vehicle: {"wheels", "motor", "version", "_sa_polymorphic_on"},
}


@pytest.mark.parametrize("model", OWNED)
def test_what_a_mapper_owns_is_known(model: Any) -> None:
    """A discriminator and its other names, each column of an expression, a version, and a key that joins to a base."""
    assert owned_names(inspect(model)) == OWNED[model]


@pytest.mark.parametrize("model", OWNED)
def test_no_derived_model_has_what_a_mapper_owns(model: Any) -> None:
    """Neither a new row nor a change; a key that the table of the base numbers is no more a client's to choose."""
    schemas = derive_schemas(model)

    assert "name" in schemas.create.model_fields
    assert not (OWNED[model] | {"id"}) & schemas.create.model_fields.keys()
    assert not (OWNED[model] | {"id"}) & schemas.update.model_fields.keys()


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, name) for model, names in OWNED.items() for name in sorted(names) if not name.startswith("_")],
)
@pytest.mark.parametrize("use", ["create", "update"])
def test_no_model_of_the_user_has_it_either(model: Any, name: str, use: Any) -> None:
    """It is refused at the start, by name."""
    own = create_model("Own", **{name: (str, "x")})  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match=rf"Own\.{name} would let a client set .*{model.__name__}\.{name}"):
        derive_schemas(model, **{use: own})


class Anything(BaseModel, extra="allow"):
    """A model of a user that takes whatever comes."""


def animals(app: FastAPI, files: Filestore) -> None:
    """Mount rows of a base, and of its heir, and with a model that takes whatever comes."""
    app.include_router(files.router(Animal), prefix="/animals")
    app.include_router(files.router(Dog), prefix="/dogs")
    app.include_router(files.router(Animal, create=Anything, update=Anything), prefix="/anything")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Animals on SQLite."""
    async with serve(build=animals) as site:
        async with site.sessions.kw["bind"].begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield site


@pytest.mark.parametrize("path", ["/animals/", "/dogs/", "/anything/"])
async def test_a_client_makes_no_row_of_another_class(site: Site, path: str) -> None:
    """Whoever sends a discriminator gets a 422, on a new row and on a change, and the list stays readable."""
    created = await site.client.post(path, files={"file": b"a"}, data={"name": "n"})
    other = await site.client.post(path, files={"file": b"a"}, data={"kind": "dog"})
    changed = await site.client.patch(f"{path}1", json={"kind": "zzz"})
    listed = await site.client.get(path)

    assert created.status_code == 201
    problem_in(other, 422, "invalid-fields")
    problem_in(changed, 422, "invalid-fields")
    assert [row["kind"] for row in listed.json()["items"]] == ["dog" if path == "/dogs/" else "animal"]
