"""Compare the rows of a test with the objects that are stored: none without the other."""

from sqlalchemy import MetaData, inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.orm.column.attributes import file_attributes, file_mappers
from fastapi_filestore.orm.ledger.ledger import DELETION, ledger_of_class
from fastapi_filestore.orm.sessions import AnySession, run_in_session
from fastapi_filestore.orm.uploads.tables import CLAIMED, uploads_of
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.registry import storages

SHOWN = 20
"""Paths that a message names."""


async def assert_no_orphans(session: AnySession, backend: StorageBackend | None = None, *models: type) -> None:
    """Assert that rows and objects agree: none without the other.

    >>> await assert_no_orphans(session)

    An object that a ledger keeps for a while (`keep_deleted`) needs no row, nor does what a client stored for an upload
    (`uploads=`) that no row has taken yet. Whatever the session has not committed
    counts as it sees it. A test that is not asynchronous calls `asyncio.run(assert_no_orphans(session))`.

    Args:
        session: A session of any kind, of the database where the rows are.
        backend: Where the objects are; all backends of the default registry if None.
        models: The classes whose rows are looked at; all that have files if none is given. Their tables must be in the
            session's database: where there are several databases, name them.

    Raises:
        AssertionError: An object has no row, or a row no object; the message names them by backend and path.
    """
    looked_at = models or tuple(mapper.class_ for mapper in file_mappers())
    problems = list[str]()
    for one in [backend] if backend is not None else storages:
        referenced = set(await run_in_session(session, referenced_paths, looked_at, one.key))
        kept = set(await run_in_session(session, _kept_paths, looked_at, one.key))
        stored = {info.path async for info in one.list()}
        problems += _problems(one.key, orphans=stored - referenced - kept, missing=referenced - stored)
    assert not problems, "\n".join(problems)


def _problems(key: str, *, orphans: set[str], missing: set[str]) -> list[str]:
    """Return the sentences about the objects of a backend that have no row, and the rows that have no object."""
    found = {
        f"objects that no row points to, in backend {key!r}": orphans,
        f"objects that rows point to, but that are not there, in backend {key!r}": missing,
    }
    return [
        f"{len(paths)} {what}: {sorted(paths)[:SHOWN]}{'...' if len(paths) > SHOWN else ''}"
        for what, paths in found.items()
        if paths
    ]


def referenced_paths(session: Session, models: tuple[type, ...], key: str) -> list[str]:
    """Return the object paths in a backend that the rows of models point to."""
    return [
        file.path
        for model in models
        for attribute in file_attributes(inspect(model))
        for value in session.scalars(select(getattr(model, attribute.name)))
        for file in attribute.type.held_files(value)
        if file.backend == key and file.path is not None
    ]


def _kept_paths(session: Session, models: tuple[type, ...], key: str) -> list[str]:
    metadatas: set[MetaData] = {inspect(model).local_table.metadata for model in models}
    staged = [
        path
        for metadata in metadatas
        if (tables := uploads_of(metadata)) is not None
        for path in session.scalars(
            select(tables.uploads.c.path).where(tables.uploads.c.backend == key, tables.uploads.c.state != CLAIMED)
        )
    ]
    ledgers = {ledger for model in models if (ledger := ledger_of_class(inspect(model))) and ledger.keep_deleted}
    return staged + [
        path
        for table in [ledger.table.c for ledger in ledgers]
        for path in session.scalars(select(table.path).where(table.backend == key, table.kind == DELETION))
    ]
