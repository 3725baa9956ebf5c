"""Rows that are deleted through a class that does not map, or does not know of, their file columns."""

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import storages
from fastapi_filestore.orm.ledger.ledger import DELETION
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import LEDGERED, Rows, pending
from tests.rows.models import Asset, Base, Document, Picture


class Summary(Base):
    """A document without its files, for lists."""

    __table__ = Document.__table__
    __mapper_args__ = {"include_properties": ["id", "title"]}  # noqa: RUF012 - SQLAlchemy reads it


class BareBase(DeclarativeBase):
    """The base of a program that knows nothing of files."""


class BareDocument(BareBase):
    """A row of the table of documents, as that program describes it."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


@pytest.mark.parametrize("model", [Summary, BareDocument])
async def test_a_row_that_goes_through_another_class_takes_its_files_along(rows: Rows, model: type) -> None:
    """The files of all columns of its table go, also of those that the class does not map."""
    identity = await rows.add(title="a", file=pending(), pages=[pending(), pending()])
    async with rows.work() as work:
        await work.delete(await work.get(model, identity))
        await work.commit()

    assert await rows.keys() == set()


@pytest.mark.parametrize("model", [Summary, BareDocument])
async def test_a_bulk_delete_through_another_class_takes_the_files_along(rows: Rows, model: type) -> None:
    """The same of all rows at once."""
    await rows.add(title="a", file=pending(), pages=[pending(), pending()])
    async with rows.work() as work:
        await work.execute(delete(model))
        await work.commit()

    assert await rows.keys() == set()


@pytest.mark.parametrize("rows", LEDGERED, indirect=True)
@pytest.mark.parametrize("model", [Summary, BareDocument])
async def test_the_ledger_remembers_what_such_a_row_left(rows: Rows, model: type) -> None:
    """A store that fails after the commit is asked again by the sweeper."""
    identity = await rows.add(title="a", file=pending())
    faulty = FaultyBackend(rows.backend, lambda number, operation: operation == "delete")
    storages.register_backend(faulty, replace=True)
    async with rows.work() as work:
        await work.delete(await work.get(model, identity))
        await work.commit()
    storages.register_backend(rows.backend, replace=True)

    left = await rows.keys()
    assert left
    assert await rows.intents(DELETION) == left
    await rows.backend.delete(*left)


@pytest.mark.parametrize("model", [Summary, BareDocument])
async def test_such_a_row_keeps_its_files_in_a_rollback(rows: Rows, model: type) -> None:
    """Nothing is deleted before the commit."""
    identity = await rows.add(title="a", file=pending(b"kept"))
    async with rows.work() as work:
        await work.delete(await work.get(model, identity))
        await work.flush()
        await work.rollback()

    assert await rows.content(identity) == b"kept"


@pytest.mark.parametrize("how", ["delete", "bulk"])
async def test_a_row_whose_discriminator_was_changed_takes_its_file_along(rows: Rows, how: str) -> None:
    """A picture that is loaded as a plain asset still has the picture's column."""
    picture = Picture(image=pending())
    async with rows.work() as work:
        await work.add(picture)
        await work.commit()
        identity = await work.do(lambda s: picture.id)
        await work.execute(Asset.__table__.update().values(kind="asset"))  # type: ignore[attr-defined]
        await work.commit()

    def remove(session: Session) -> None:
        asset = session.get_one(Asset, identity)
        assert type(asset) is Asset
        session.delete(asset)

    async with rows.work() as work:
        await work.do(remove if how == "delete" else lambda s: s.execute(delete(Asset)))
        await work.commit()

    assert await rows.keys() == set()


async def test_a_title_that_is_changed_through_another_class_leaves_the_files(rows: Rows) -> None:
    """Only a row that goes takes files along."""
    identity = await rows.add(title="a", file=pending(b"kept"))

    def rename(session: Session) -> None:
        session.get_one(BareDocument, identity).title = "b"

    async with rows.work() as work:
        await work.do(rename)
        await work.commit()

    assert await rows.content(identity) == b"kept"
