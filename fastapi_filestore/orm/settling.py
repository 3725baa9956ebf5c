"""What is settled before a COMMIT, and again after whatever changes rows between that and the COMMIT."""

from sqlalchemy.orm import Session

from fastapi_filestore.orm.booking import purge_files, renew_owed, spare_moved_files
from fastapi_filestore.orm.sharing import settle_sharing

_COMMITTING = "fastapi_filestore.committing"
"""Set in a session's info from the check before a COMMIT to its end."""


def settle(session: Session) -> None:
    """Check everything that the open transactions of a session did to files, as if it were to be committed now.

    Raises:
        SharedFileError: A file would be in two places.
        StaleFileError: A row would hold another transaction's garbage.
        IntentLostError: A sweeper took an upload's intent.
    """
    settle_sharing(session)
    spare_moved_files(session)
    purge_files(session)
    renew_owed(session)


def settle_before_commit(session: Session) -> None:
    """Settle a transaction that is about to be committed, and whatever others who listen change until it is."""
    settle(session)
    session.info[_COMMITTING] = True


def settle_late_changes(session: Session) -> None:
    """Settle again if the check before the COMMIT is over: nobody else asks after a change that comes so late."""
    if session.info.get(_COMMITTING):
        settle(session)


def end_commit(session: Session) -> None:
    """Note that the transaction of a session has ended."""
    session.info.pop(_COMMITTING, None)
