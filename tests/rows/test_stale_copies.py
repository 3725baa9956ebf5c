"""What a session read may be garbage by the time it writes: it must not come back into a row."""

from collections.abc import Callable

import pytest

from fastapi_filestore import StaleFileError, StaleRowError, storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import LEDGERED, Rows, pending
from tests.rows.models import Document


def _edit_pages(document: Document) -> None:
    document.pages = [*reversed(document.pages or []), pending(b"new")]


def _change_pages_metadata(document: Document) -> None:
    assert document.pages is not None
    document.pages[0].metadata["changed"] = "yes"


def _change_metadata(document: Document) -> None:
    assert document.file is not None
    document.file.metadata["changed"] = "yes"


async def _race(rows: Rows, edit: Callable[[Document], None]) -> None:
    """Edit a document from a copy that was read before another session replaced its file, and dropped a page."""
    identity = await rows.add(title="t", file=pending(b"0"), pages=[pending(b"1"), pending(b"2")])
    async with rows.work(expire_on_commit=False) as stale, rows.work() as quick:
        document = await stale.get(Document, identity)
        await stale.commit()
        current = await quick.get(Document, identity)
        current.file, current.pages = pending(b"3"), (current.pages or [])[1:]
        await quick.commit()
        edit(document)
        await stale.commit()


@pytest.mark.parametrize("edit", [_edit_pages, _change_pages_metadata])
async def test_a_list_that_another_session_changed_is_not_written(rows: Rows, edit: Callable[[Document], None]) -> None:
    """A list edited from a stale copy is refused, and with it what would come back of it."""
    with pytest.raises(StaleRowError, match="read it again"):
        await _race(rows, edit)

    assert len(await rows.keys()) == 2


async def test_a_file_that_another_session_dropped_does_not_come_back(rows: Rows) -> None:
    """A file edited in a stale copy is refused if another transaction let it go."""
    with pytest.raises(StaleFileError, match="read the row again"):
        await _race(rows, _change_metadata)

    assert len(await rows.keys()) == 2


@pytest.mark.parametrize("rows", LEDGERED, indirect=True)
async def test_a_file_that_is_yet_to_be_deleted_does_not_come_back(rows: Rows) -> None:
    """The ledger tells of a file that is garbage before the store does."""
    storages.register_backend(FaultyBackend(rows.backend, lambda call, op: op == "delete"), replace=True)
    with pytest.raises(StaleFileError):
        await _race(rows, _change_metadata)

    storages.register_backend(rows.backend, replace=True)
