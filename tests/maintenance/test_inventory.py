"""The temporary file that an audit compares in, which threads take turns to use."""

import sqlite3
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import pytest

from fastapi_filestore import ObjectInfo
from fastapi_filestore.service.audit.findings import RowIdentity
from fastapi_filestore.service.audit.inventory import inventory
from fastapi_filestore.service.audit.references import ObjectLocation, Reference

AT = ObjectLocation("shelf", "k")
NOWHERE = ObjectLocation("", "")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The numbers of the cursors that are open, or were let go of without a word."""
    opened, numbers = set[int](), count()

    class Cursor(sqlite3.Cursor):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.number = next(numbers)
            opened.add(self.number)

        def close(self) -> None:
            opened.remove(self.number)
            super().close()

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *given: Any) -> Any:
            return self.cursor().execute(*given)

        def executemany(self, *given: Any) -> Any:
            return self.cursor().executemany(*given)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Connection))
    return opened


async def test_no_thread_lets_go_of_a_cursor_while_the_next_one_works(opened: set[int]) -> None:
    """Every cursor is closed: one that a thread lets go of later resets the statement that the next thread runs."""
    row = RowIdentity("scans", "file", (1,))
    now = datetime.now(UTC)
    with inventory() as stock:
        opened.clear()  # those that made the tables went in this thread, which waits for all others
        await stock.add_objects("shelf", [ObjectInfo("k", 1, now, "e")])
        await stock.add_references([Reference(row, "shelf", "k", 2, "e", None)])
        await stock.add_held([AT])
        await stock.add_unreadable([row])
        await stock.sort()
        assert await stock.orphans(after=NOWHERE, before=now, limit=1) == []
        assert await stock.shared(after=NOWHERE, limit=1) == []
        async with aclosing(stock.references(after=NOWHERE, everything=True, limit=1)) as references:
            async for _ in references:
                break
        await stock.forget_backend("shelf")

        assert opened == set()
