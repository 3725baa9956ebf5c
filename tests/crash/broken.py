"""Deliberately broken variants of the library. Each breaks one rule, and the harness must find it out."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore import FileObject, ObjectInfo, StorageBackend
from fastapi_filestore.orm.ledger import ledger
from fastapi_filestore.orm.sessions import await_in_session, run_on_engine
from fastapi_filestore.orm.unit_of_work import listeners as unit_of_work
from fastapi_filestore.orm.unit_of_work import state as states
from fastapi_filestore.orm.unit_of_work import transfer
from fastapi_filestore.orm.unit_of_work.end import on_transaction_end
from fastapi_filestore.storage.paths import generate_path

Late = list[tuple[StorageBackend, str, bytes]]


def upload_after_commit() -> None:
    """Write the row first and the bytes when it is committed, as most libraries do."""
    late: Late = []

    async def pretend(file: FileObject) -> FileObject:
        assert file._content is not None
        content = b"".join([chunk async for chunk in file._content.chunks()])
        path = file.destination[1] if file.destination else generate_path()
        file._record(ObjectInfo(path=path, size=len(content), last_modified=datetime.now(UTC)))
        file.checksum, file.custody.fresh = sha256(content).hexdigest(), True
        late.append((file.backend_in_use(), path, content))
        return file

    _replace(FileObject, "save_async", pretend)

    @event.listens_for(Session, "after_commit")
    def upload(session: Session) -> None:
        if session.get_nested_transaction() is None:
            await_in_session(_upload(late))


async def _upload(late: Late) -> None:
    while late:
        backend, path, content = late.pop()
        await backend.put(path, content)


def delete_at_savepoint_release() -> None:
    """Take the release of a savepoint for a commit."""

    def too_early(session: Session, state: states.SessionState, transaction: SessionTransaction) -> None:
        journal = state.journals.get(transaction)
        if transaction.nested and journal is not None and journal.committed:
            await_in_session(transfer.discard(journal.unreferenced_files()))
        on_transaction_end(session, state, transaction)

    _replace(unit_of_work, "on_transaction_end", too_early)


def write_no_intent() -> None:
    """Upload without telling the ledger."""

    async def nothing(*args: Any, **options: Any) -> None:
        pass

    _replace(transfer, "_reserve", nothing)


def delete_before_commit() -> None:
    """Delete the bytes while the transaction may still be rolled back."""

    @event.listens_for(Session, "before_commit")
    def too_early(session: Session) -> None:
        session.flush()
        await_in_session(transfer.discard(states.whole_journal(session).unreferenced_files()))


def settle_in_another_transaction() -> None:
    """Remove the intent before, and not with, the commit of the row."""
    settle = ledger.Ledger.settle

    def apart(self: ledger.Ledger, connection: Any, locations: Any) -> Any:
        return await_in_session(run_on_engine(connection.engine, partial(settle, self, locations=locations)))

    _replace(ledger.Ledger, "settle", apart)


def _replace(owner: Any, name: str, value: object) -> None:
    # A variant of something that is not there any more would break nothing, and be missed by everybody.
    assert hasattr(owner, name), f"{owner} has no {name}"
    setattr(owner, name, value)


VARIANTS: Final[Mapping[str, Callable[[], None]]] = {
    variant.__name__: variant
    for variant in (
        upload_after_commit,
        delete_at_savepoint_release,
        write_no_intent,
        delete_before_commit,
        settle_in_another_transaction,
    )
}
