"""Where a session's writes go: one that reads from replicas knows by the kind of statement which engine to take."""

from functools import cache
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, update
from sqlalchemy.orm import Mapper, Session

from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.orm.bridge import AnySession, plain_session


def writing_bind(session: Session, mapper: Mapper[Any]) -> Engine | Connection:
    """Return what a session writes the rows of a mapped class through.

    Raises:
        UnsupportedStatementError: The session chooses a database for each row.
    """
    _refuse_shards(session, mapper)
    return session.get_bind(**_write_of(mapper))


def writing_connection(session: Session, mapper: Mapper[Any]) -> Connection:
    """Return the connection that a session writes the rows of a mapped class over, in its transaction.

    Raises:
        UnsupportedStatementError: The session chooses a database for each row.
    """
    _refuse_shards(session, mapper)
    return session.connection(bind_arguments=_write_of(mapper))


def url_of(session: AnySession) -> URL | None:
    """Return where the database of a session is; None if it chooses one for each statement."""
    plain = plain_session(session)
    chooses = type(plain).get_bind is not Session.get_bind
    return None if plain.bind is None or chooses else plain.bind.engine.url


def _refuse_shards(session: Session, mapper: Mapper[Any]) -> None:
    # Rows of several databases may have the same key: the file that is replaced would be looked for in any of them.
    if session.connection_callable is not None:
        raise UnsupportedStatementError(
            f"A {type(session).__name__} chooses a database for each row, so it can't write rows of "
            f"{mapper.class_.__name__}, which hold files: write them through a Session of their shard, "
            "Session(engine_of_the_shard). Reading is fine."
        )


@cache
def _write_of(mapper: Mapper[Any]) -> dict[str, Any]:
    # The documented recipe for replicas looks for an Update or a Delete among the arguments of get_bind.
    table = mapper.local_table
    return {"mapper": mapper, "clause": update(table)} if isinstance(table, Table) else {"mapper": mapper}
