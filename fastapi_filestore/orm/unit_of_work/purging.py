"""Erase at once what a ledger with `keep_deleted` would keep for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from fastapi_filestore.orm.sessions import AnySession, plain_session
from fastapi_filestore.orm.unit_of_work.entries import begin_journal


def purge(session: AnySession) -> None:
    """Let the open transaction of a session keep no file: whatever it takes out of rows is deleted at its commit.

    In a savepoint it is about what that savepoint takes out of rows. It sends nothing to the database. What triggers
    note of raw SQL, or of ON DELETE CASCADE, is kept all the same.
    """
    begin_journal(plain_session(session)).purges = True


@contextmanager
def purging(session: Session) -> Iterator[None]:
    """Keep no file that the block takes out of rows; it flushes, and is entered with nothing pending."""
    journal = begin_journal(session)
    before = {location for location, ledger in journal.intended.items() if ledger is not None}
    yield
    journal.purged |= {location for location, ledger in journal.intended.items() if ledger is not None} - before
