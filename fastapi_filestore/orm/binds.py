"""Where a session's writes go: one that reads from replicas knows by the kind of statement which engine to take."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, update
from sqlalchemy.orm import Mapper, Session


def writing_bind(session: Session, mapper: Mapper[Any]) -> Engine | Connection:
    """Return what a session writes the rows of a mapped class through."""
    return session.get_bind(**_write_of(mapper))


def writing_connection(session: Session, mapper: Mapper[Any]) -> Connection:
    """Return the connection that a session writes the rows of a mapped class over, in its transaction."""
    return session.connection(bind_arguments=_write_of(mapper))


@cache
def _write_of(mapper: Mapper[Any]) -> dict[str, Any]:
    # The documented recipe for replicas looks for an Update or a Delete among the arguments of get_bind.
    table = mapper.local_table
    return {"mapper": mapper, "clause": update(table)} if isinstance(table, Table) else {"mapper": mapper}
