"""Files that raw SQL moves between rows live on: their triggers tell a move from a loss."""

import json

import pytest
from sqlalchemy import (
    text,
)
from sqlalchemy.orm import Session

from tests.rows.albums import Album, Place, place
from tests.rows.conftest import pending

__all__ = ["place"]


async def test_a_move_by_delete_and_insert(place: Place) -> None:
    """A file that raw SQL takes out of one row and puts into another, in one transaction, lives on."""
    place.add_album(cover=pending())
    place.run(
        'CREATE TABLE kept AS SELECT "the cover" AS file FROM "Album\'s"',
        'DELETE FROM "Album\'s"',
        "INSERT INTO photos (file) SELECT file FROM kept",
        "DROP TABLE kept",
    )

    assert place.intents() == 0
    assert await place.swept() == 1


async def test_a_move_by_update(place: Place) -> None:
    """A file that one statement moves between the columns of a row lives on."""
    wrap = "json_array" if place.engine.dialect.name == "sqlite" else "jsonb_build_array"
    json = 'json("the cover")' if place.engine.dialect.name == "sqlite" else '"the cover"'
    place.add_album(cover=pending())
    place.run(f'UPDATE "Album\'s" SET pages = {wrap}({json}), "the cover" = NULL')

    assert place.intents() == 0
    assert await place.swept() == 1


async def test_moves_in_any_order(place: Place) -> None:
    """Insert before delete, and a swap: PostgreSQL sees at the commit, and the sweeper on SQLite, what rows hold."""
    place.add(Album(id=1, cover=pending(b"1")), Album(id=2, cover=pending(b"2")))
    swap = 'SELECT a.id, b."the cover" AS file FROM "Album\'s" a JOIN "Album\'s" b ON a.id <> b.id'
    place.run(
        f'UPDATE "Album\'s" SET "the cover" = swap.file FROM ({swap}) AS swap WHERE swap.id = "Album\'s".id',
        'INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s" WHERE id = 1',
        'DELETE FROM "Album\'s" WHERE id = 1',
    )

    assert place.intents() == 0 or place.engine.dialect.name == "sqlite"
    assert await place.swept() == 2
    assert place.intents() == 0


async def test_a_file_that_raw_sql_takes_over(place: Place) -> None:
    """A session that deletes a row spares the file that raw SQL of the same transaction puts into another one."""
    place.add(Album(id=1, cover=pending(b"taken over")))
    with Session(place.engine) as session:
        album = session.get_one(Album, 1)
        file = session.execute(text('SELECT "the cover" FROM "Album\'s"')).scalar_one()
        session.delete(album)
        session.flush()
        value = file if isinstance(file, str) else json.dumps(file)
        session.execute(text("INSERT INTO photos (file) VALUES (:file)"), {"file": value})
        session.commit()

    assert len(await place.keys()) == 1
    assert await place.swept() == 1


async def test_files_that_moved_hide_no_garbage(place: Place) -> None:
    """A sweeper whose first batches hold nothing but files that moved goes on to what is to be deleted."""
    place.add(*(Album(id=number, cover=pending()) for number in range(4)))
    move = 'INSERT INTO photos (file) SELECT "the cover" FROM "Album\'s" WHERE id < 3'
    place.run(move, 'DELETE FROM "Album\'s" WHERE id < 3', 'DELETE FROM "Album\'s"')

    assert await place.swept(batch=1) == 3
    assert place.intents() == 0


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_file_that_came_and_went_again(place: Place) -> None:
    """A row that comes to hold a file and loses it in the same transaction does not spare it."""
    place.add(Album(id=1, cover=pending()))
    place.run(
        'INSERT INTO photos (id, file) SELECT 7, "the cover" FROM "Album\'s"',
        'DELETE FROM "Album\'s"',
        "UPDATE photos SET id = 8",
        "DELETE FROM photos",
    )

    assert place.intents() == 1
    assert await place.swept() == 0
