"""Rows that are changed and go in the same flush, as orphans of a parent that let go of them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from tests.rows.conftest import Rows, pending
from tests.rows.models import Document, Note


def give_cover_away(parent: Document, child: Note) -> None:
    """The parent takes the child's file."""
    parent.file, child.file = child.file, None


def swap(parent: Document, child: Note) -> None:
    """The parent and the child exchange files."""
    parent.file, child.file = child.file, parent.file


def replace(parent: Document, child: Note) -> None:
    """The child gets a new file."""
    child.file = pending(b"new")


def clear(parent: Document, child: Note) -> None:
    """The child's file is taken away."""
    child.file = None


def describe(parent: Document, child: Note) -> None:
    """The child's file changes in place."""
    assert child.file is not None
    child.file.metadata["k"] = "v"


def join_pages(parent: Document, child: Note) -> None:
    """The child's file becomes one of the parent's pages."""
    assert child.file is not None
    parent.pages = [child.file, *(parent.pages or [])]
    child.file = None


Change = Callable[[Document, Note], None]

CHANGES: dict[Change, set[bytes]] = {
    give_cover_away: {b"child"},
    swap: {b"child"},
    replace: {b"parent"},
    clear: {b"parent"},
    describe: {b"parent"},
    join_pages: {b"parent", b"child"},
}


async def add_family(rows: Rows, title: str) -> int:
    """Commit a parent with a child, each with a file."""
    return await rows.add(title=title, file=pending(b"parent"), notes=[Note(file=pending(b"child"))])


@pytest.mark.parametrize("removed", ["before", "after"])
async def test_a_row_that_is_changed_and_orphaned_at_once(rows: Rows, removed: str) -> None:
    """What it held goes, unless another row came to hold it, and what it was to hold goes, too."""
    for change, kept in CHANGES.items():
        identity = await add_family(rows, change.__name__)

        def work_on(session: Session, identity: int = identity, change: Change = change) -> None:
            parent = session.get_one(Document, identity)
            (child,) = parent.notes
            if removed == "after":
                change(parent, child)
            parent.notes.remove(child)
            if removed == "before":
                change(parent, child)

        async with rows.work() as work:
            await work.do(work_on)
            await work.commit()

        assert await _contents(rows) == kept, change.__name__
        await _delete(rows, identity)


async def test_such_a_row_is_there_again_after_a_rollback(rows: Rows) -> None:
    """Both rows have what they had before."""
    for change in CHANGES:
        identity = await add_family(rows, change.__name__)

        def work_on(session: Session, identity: int = identity, change: Change = change) -> None:
            parent = session.get_one(Document, identity)
            (child,) = parent.notes
            change(parent, child)
            parent.notes.remove(child)
            session.flush()

        async with rows.work() as work:
            await work.do(work_on)
            await work.rollback()

        assert await _contents(rows) == {b"parent", b"child"}, change.__name__
        await _delete(rows, identity)


async def test_a_row_that_is_changed_and_goes_with_its_parent(rows: Rows) -> None:
    """Nothing is left of a parent and of its child, whatever was changed in the same flush."""
    for change in CHANGES:
        identity = await add_family(rows, change.__name__)

        def work_on(session: Session, identity: int = identity, change: Change = change) -> None:
            parent = session.get_one(Document, identity)
            change(parent, parent.notes[0])
            session.delete(parent)

        async with rows.work() as work:
            await work.do(work_on)
            await work.commit()

        assert await _contents(rows) == set(), change.__name__


async def _delete(rows: Rows, identity: int) -> None:
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.commit()


async def _contents(rows: Rows) -> set[bytes]:
    return {await (await rows.backend.open(key)).read() for key in await rows.keys()}
