"""Classes that inherit: files in rows of two tables, and files that only some rows of a table have."""

from sqlalchemy import delete, update

from tests.rows.conftest import Rows, pending
from tests.rows.models import Asset, Author, Person, Picture


async def _authored(rows: Rows) -> int:
    async with rows.work() as work:
        author = Author(photo=pending(b"photo"), essay=pending(b"essay"))
        await work.add(author)
        await work.commit()
        return await work.do(lambda _: author.id)


async def test_a_file_in_each_table_is_replaced_and_deleted(rows: Rows) -> None:
    """A row of two tables is one row to a session."""
    identity = await _authored(rows)
    async with rows.work() as work:
        author = await work.get(Author, identity)
        author.photo, author.essay = pending(b"new"), pending(b"new")
        await work.commit()
        assert len(await rows.keys()) == 2
        await work.delete(await work.get(Author, identity))
        await work.commit()

    assert await rows.keys() == set()


async def test_a_bulk_delete_takes_the_files_of_its_own_table_alone(rows: Rows) -> None:
    """DELETE of a class that inherits deletes from one table; the other row stays with its file."""
    await _authored(rows)
    async with rows.work() as work:
        await work.execute(delete(Author))
        await work.execute(update(Person.__table__).values(kind="person"))  # type: ignore[arg-type]
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_bulk_statement_on_a_base_class_finds_the_files_of_the_others(rows: Rows) -> None:
    """Rows of a class that inherits in the same table are rows of the base class."""
    async with rows.work() as work:
        pictures = [Picture(image=pending(name)) for name in (b"a", b"b")]
        await work.add_all([*pictures, Asset()])
        await work.commit()
        first = await work.do(lambda _: pictures[0].id)
        await work.execute(delete(Asset).where(Asset.id == first))
        await work.commit()
        assert len(await rows.keys()) == 1
        await work.execute(update(Asset).values({Picture.image: None}))
        await work.commit()

    assert await rows.keys() == set()
