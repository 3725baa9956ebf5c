"""Mappings that are refused by name, when a class is configured: nobody could track their files."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, registry, synonym
from sqlalchemy.types import TypeDecorator

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    StoredObject,
)
from tests.rows.conftest import pending


@pytest.mark.parametrize(
    "default",
    [
        {"default": pending},
        {"default": lambda: FileObject("rows", path="avatar.png")},
        {"onupdate": pending},
        {"server_default": '{"backend": "rows", "path": "avatar.png", "filename": "avatar.png"}'},
    ],
)
def test_a_file_as_a_default_is_refused(default: dict[str, Any]) -> None:
    """Rows that get a default would share one object, and lose it with the first of them."""
    with pytest.raises(ConfigurationError, match=r"users\.avatar has a .*default|users\.avatar has a onupdate"):
        _map(StoredObject("rows"), default)


def test_a_mapping_that_is_refused_stays_refused() -> None:
    """Whoever goes on after the first error meets it again: nobody would track the files."""

    class Own(DeclarativeBase):
        pass

    class Account(Own):
        __tablename__ = "accounts"

        id: Mapped[int] = mapped_column(primary_key=True)
        avatar: Mapped[FileObject | None] = mapped_column(StoredObject("rows"), onupdate=pending)

    with pytest.raises(ConfigurationError, match=r"accounts\.avatar has a onupdate"):
        Own.registry.configure()
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match=r"accounts\.avatar has a onupdate"):
            Account()
    Own.registry.dispose()


@pytest.mark.parametrize(
    "default",
    [
        {},
        {"default": None},
        {"default": list},
        {"default": []},
        {"server_default": "[]"},
        {"server_default": text("'[]'")},
        {"server_default": text("NULL")},
    ],
)
def test_no_files_are_a_fine_default(default: dict[str, Any]) -> None:
    """An empty list is nothing to share."""
    _map(StoredObject("rows", multiple=True), default)


@pytest.mark.parametrize(
    "outer", [JSON().with_variant(StoredObject("rows"), "sqlite"), postgresql.ARRAY(StoredObject("rows"))]
)
def test_a_type_that_becomes_ours_or_holds_many_is_refused(outer: Any) -> None:
    """Nobody would see its files, either."""
    with pytest.raises(ConfigurationError, match=r"users\.avatar: nobody would track"):
        _map(outer, {})


def test_ours_may_have_variants() -> None:
    """Of a column that is ours, another database may make something else."""
    _map(StoredObject("rows").with_variant(JSON(), "mysql"), {})


def test_a_type_that_wraps_ours_is_refused() -> None:
    """Nobody would see its files; a subclass is the way."""

    class Pdf(TypeDecorator[Any]):
        impl = StoredObject
        cache_ok = True

    with pytest.raises(ConfigurationError, match=r"users\.avatar: nobody would track .* Pdf"):
        _map(Pdf("rows"), {})


def test_one_attribute_in_two_tables_is_refused() -> None:
    """A file in two places at once belongs to neither: SQLAlchemy combines columns of one name in joined tables."""

    class Own(DeclarativeBase):
        pass

    class Report(Own):
        __tablename__ = "reports"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy, which says the same

        class Scan(Report):
            __tablename__ = "scans"

            id: Mapped[int] = mapped_column(ForeignKey(Report.id), primary_key=True)
            file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))

    with pytest.raises(ConfigurationError, match=r"scans\.file and reports\.file are one attribute of Scan"):
        Own.registry.configure()
    Own.registry.dispose()


@pytest.mark.parametrize("again", [lambda model: model.__table__.c.file, lambda model: model.file])
@pytest.mark.parametrize("is_inherited", [False, True])
def test_one_column_under_two_names_is_refused(again: Callable[[Any], Any], *, is_inherited: bool) -> None:
    """SQLAlchemy writes one of the two attributes: what the other is given would be stored, and in no row."""
    own = registry()

    class Report(own.generate_base()):  # type: ignore[misc]
        __tablename__ = "reports"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))

    model: Any = type("Scan", (Report,), {}) if is_inherited else Report
    model.again = column_property(again(Report))

    with pytest.raises(ConfigurationError, match=rf"reports\.file is several attributes of {model.__name__}: .*again"):
        own.configure()
    own.dispose()


def test_a_file_column_that_comes_late_is_refused() -> None:
    """Nobody would see what a class maps that is in use already; a synonym and other columns may come at any time."""
    own = registry()

    class Report(own.generate_base()):  # type: ignore[misc]
        __tablename__ = "reports"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))

    own.configure()
    Report.note = mapped_column(String)
    Report.same = synonym("file")
    file = pending()
    assert Report(same=file).file is file
    for name, late in (("new", mapped_column(StoredObject("rows"))), ("again", column_property(Report.file))):
        with pytest.raises(ConfigurationError, match=rf"Report\.{name} comes when Report is in use already"):
            setattr(Report, name, late)
    own.dispose()


def _map(column_type: Any, default: dict[str, Any]) -> None:
    mappers = registry()
    table = Table(
        "users", mappers.metadata, Column("id", Integer, primary_key=True), Column("avatar", column_type, **default)
    )
    user = type("User", (), {})  # which the garbage collector might take away before it is configured
    try:
        mappers.map_imperatively(user, table)
        mappers.configure()
    finally:
        mappers.dispose()
