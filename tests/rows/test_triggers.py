"""With triggers, whatever takes a file out of a row, its object goes: raw SQL, cascades, other programs."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    delete,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from fastapi_filestore.service.sweep.sweep import sweep
from tests.rows.albums import LEDGER, Album, Base, Photo, Place, place
from tests.rows.conftest import pending

__all__ = ["place"]


async def test_raw_delete(place: Place) -> None:
    """A row deleted by raw SQL leaves an intent for each of its files, once, and the sweeper settles them."""
    place.add_album(cover=pending(), pages=[pending(), pending()])
    assert place.intents() == 0

    place.run('DELETE FROM "Album\'s"')

    assert place.intents() == 3
    assert await place.swept() == 0


def _archive(session: Session) -> None:
    session.execute(text('INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s"'))


def _archive_and_delete(session: Session) -> None:
    _archive(session)
    session.delete(session.scalars(select(Album)).one())


def _archive_and_clear(session: Session) -> None:
    _archive(session)
    session.scalars(select(Album)).one().cover = None


def _archive_and_delete_in_bulk(session: Session) -> None:
    _archive(session)
    session.execute(delete(Album))


def _archive_in_a_hook(session: Session) -> None:
    def archive(mapper: Any, connection: Any, row: Album) -> None:
        connection.execute(insert(Base.metadata.tables["photos"]).values(file=row.cover))

    event.listen(Album, "before_delete", archive)
    try:
        session.delete(session.scalars(select(Album)).one())
        session.flush()
    finally:
        event.remove(Album, "before_delete", archive)


@pytest.mark.parametrize(
    "change", [_archive_and_delete, _archive_and_clear, _archive_and_delete_in_bulk, _archive_in_a_hook]
)
async def test_sql_that_copies_a_file_before_the_session_lets_it_go(
    place: Place, change: Callable[[Session], object]
) -> None:
    """The row that it was copied into keeps its bytes, and they go with that one."""
    place.add_album(cover=pending(b"kept"), pages=[pending()])
    with Session(place.engine) as session:
        change(session)
        session.commit()
    with Session(place.engine) as session:
        kept = session.scalars(select(Photo)).one().file
        assert kept is not None
        assert await kept.get_content_async() == b"kept"
    place.run("DELETE FROM photos", 'DELETE FROM "Album\'s"')

    assert await place.swept() == 0


async def test_intents_of_triggers_fall_due_like_any_other(place: Place) -> None:
    """A trigger's intent is not due at once, and is within the minute."""
    place.add_album(cover=pending())
    place.run('DELETE FROM "Album\'s"')

    assert [one async for one in sweep(place.engine, LEDGER)] == []
    place.run(f"UPDATE {LEDGER.table.name} SET due_at = due_at - 60.1")
    assert len([one async for one in sweep(place.engine, LEDGER)]) == 1


async def test_raw_update(place: Place) -> None:
    """Raw SQL that sets a file to NULL, shortens a list and touches other columns dooms what is no longer held only."""
    place.add_album(cover=pending(), pages=[pending(), pending(), pending()])
    drop_last = "json_remove(pages, '$[2]')" if place.engine.dialect.name == "sqlite" else "pages - 2"
    place.run('UPDATE "Album\'s" SET title = title, "the cover" = "the cover"')
    assert place.intents() == 0

    place.run(f'UPDATE "Album\'s" SET "the cover" = NULL, pages = {drop_last}')

    assert place.intents() == 2
    assert await place.swept() == 2


async def test_cascade(place: Place) -> None:
    """Rows that ON DELETE CASCADE deletes, by raw SQL or beneath the unit of work, lose their objects."""
    place.add(Album(id=1), Photo(album_id=1, file=pending()), Photo(album_id=1, file=pending()))
    with Session(place.engine) as session:
        session.delete(session.get_one(Album, 1))
        session.commit()

    assert place.intents() == 2
    assert await place.swept() == 0


async def test_rollback(place: Place) -> None:
    """An intent is part of the transaction that made it."""
    place.add_album(cover=pending())
    with place.engine.connect() as connection:
        connection.execute(text('DELETE FROM "Album\'s"'))
        connection.rollback()

    assert place.intents() == 0
    assert await place.swept() == 1
