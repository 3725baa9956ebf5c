"""A transaction that has only read is ended before a client is waited for; any other goes on."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    bindparam,
    case,
    cast,
    column,
    create_engine,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.pool import StaticPool
from sqlalchemy.types import Numeric, String

from fastapi_filestore.orm.unit_of_work import read_only
from fastapi_filestore.orm.unit_of_work.read_only import end_if_only_read
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document, Note

Do = Callable[[Session], Any]

READS: dict[str, Do] = {
    "get": lambda s: s.get(Document, 1),
    "columns": lambda s: s.execute(select(Document.id, Document.title).order_by(Document.title).limit(3)).all(),
    "aggregates": lambda s: s.execute(
        select(func.count(), func.max(Document.id), func.sum(Document.id), func.count(Document.id.distinct()))
    ).all(),
    "groups": lambda s: s.execute(
        select(Note.document_id, func.min(Note.id)).group_by(Note.document_id).having(func.avg(Note.id) > 0)
    ).all(),
    "conditions": lambda s: s.scalars(
        select(Document).where(
            Document.id.in_([1, 2]), Document.title.like("%t%"), exists().where(Note.document_id == Document.id)
        )
    ).all(),
    "expressions": lambda s: s.execute(
        select(
            case((Document.id == 1, "one"), else_="more"),
            cast(Document.id, Numeric(10, 2)).label("number"),
            cast(Document.id, String(20)).label("text"),
            literal("func(1)"),
        )
    ).all(),
    "relations": lambda s: s.get_one(Document, 1, options=[joinedload(Document.notes)]).notes,
    "relations in turn": lambda s: s.scalars(select(Document).options(selectinload(Document.notes))).all(),
    "lazy": lambda s: s.get_one(Document, 1).notes,
    "refresh": lambda s: s.refresh(s.get(Document, 1)),
    "union": lambda s: s.execute(union_all(select(Document.id), select(Note.id))).all(),
    "core": lambda s: s.connection().execute(select(Document.__table__)).all(),
    "a subquery": lambda s: s.scalar(select(select(func.count(Note.id)).scalar_subquery() + 1)),
    "odd names": lambda s: s.execute(
        select(Document.id.label("f(x) for update"), column("id").label("delete from")).select_from(Document)
    ).all(),
}


@pytest.fixture
async def work(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Work]:
    """A session, and a document with a note for it to read."""
    async with rows.work() as other:
        await other.add(Document(title="t", file=pending(), notes=[Note(file=pending())]))
        await other.commit()
    monkeypatch.setattr(read_only, "_logged", set())
    async with rows.work() as work:
        yield work


def checked_out(rows: Rows) -> int:
    """Return how many connections of the pool are in use."""
    engine: Any = rows.engine.sync_engine if isinstance(rows.engine, AsyncEngine) else rows.engine
    return int(engine.pool.checkedout())


async def is_ended(work: Work, rows: Rows, do: Do) -> bool:
    """Do something in a transaction, and return whether it is ended as one that has only read."""
    before = checked_out(rows)
    await work.do(do)

    assert checked_out(rows) == before + 1
    await work.do(end_if_only_read)
    is_ended = not await work.do(lambda s: s.in_transaction())

    assert checked_out(rows) == before + (not is_ended)
    return is_ended


@pytest.mark.parametrize("do", READS.values(), ids=READS.keys())
async def test_what_only_reads_is_ended(rows: Rows, work: Work, do: Do, caplog: pytest.LogCaptureFixture) -> None:
    """After selects of columns and aggregates no connection is held, and nobody is told."""
    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        assert await is_ended(work, rows, do)
    assert caplog.messages == []


async def test_nothing_is_expired(rows: Rows, work: Work) -> None:
    """A row that was read stays as it was read, and can be changed and committed after that."""
    document = await work.do(lambda s: s.get(Document, 1))
    await work.do(end_if_only_read)
    with rows.statements() as seen:
        assert document is not None
        assert (document.title, document.file) == ("t", document.file)
    assert seen == []

    document.title, document.file = "u", pending(b"new")
    await work.commit()

    assert await rows.content(1) == b"new"


async def test_the_session_begins_anew(rows: Rows, work: Work) -> None:
    """What is read next is what others have committed meanwhile."""
    assert await work.scalar(select(Document.title)) == "t"
    await work.do(end_if_only_read)
    async with rows.work() as other:
        await other.execute(update(Document).values(title="u"))
        await other.commit()

    assert await work.scalar(select(Document.title)) == "u"


def _change(session: Session) -> None:
    session.get_one(Document, 1).title = "u"


def _edit(session: Session) -> None:
    file = session.get_one(Document, 1).file
    assert file is not None
    file.metadata["k"] = "v"


def _add(session: Session) -> None:
    session.get(Document, 1)
    session.add(Document(title="n"))


def _flush(session: Session) -> None:
    session.add(Document(title="n"))
    session.flush()


def _savepoint(session: Session) -> None:
    session.begin_nested()
    session.get(Document, 1)


def _begin(session: Session) -> None:
    session.begin()
    session.get(Document, 1)


WRITES: dict[str, Do] = {
    "raw": lambda s: s.execute(text("SELECT 1")).all(),
    "raw in part": lambda s: s.execute(select(Document.id).where(text("1 = 1"))).all(),
    "raw column": lambda s: s.execute(select(literal_column("1"))).all(),
    "to the driver": lambda s: s.connection().exec_driver_sql("SELECT 1").all(),
    "a function": lambda s: s.execute(select(func.abs(Document.id))).all(),
    "a function in a condition": lambda s: s.execute(select(Document.id).where(func.length(Document.title) > 0)).all(),
    "the time": lambda s: s.execute(select(func.current_timestamp())).all(),
    "a window": lambda s: s.execute(select(func.row_number().over(order_by=Document.id))).all(),
    "locked": lambda s: s.execute(
        select(Document.id).with_for_update() if s.get_bind().dialect.name != "sqlite" else text("SELECT 2")
    ).all(),
    "inserted": lambda s: s.execute(insert(Document).values(title="n")),
    "updated": lambda s: s.execute(update(Document).values(title=bindparam("x")), {"x": "y"}),
    "new": _add,
    "dirty": _change,
    "edited": _edit,
    "deleted": lambda s: s.delete(s.get(Document, 1)),
    "flushed": _flush,
    "options": lambda s: (s.connection(execution_options={"schema_translate_map": {None: None}}), s.get(Document, 1)),
    "rows on their way": lambda s: s.execute(select(Document.id).execution_options(stream_results=True)).all(),
    "a few rows at a time": lambda s: s.scalars(select(Document).execution_options(yield_per=1)).all(),
    "a comment": lambda s: s.execute(select(Document.id).prefix_with("/* it's */")).all(),
    "a savepoint": _savepoint,
    "begun": _begin,
}


@pytest.mark.parametrize("do", WRITES.values(), ids=WRITES.keys())
async def test_anything_else_is_kept(rows: Rows, work: Work, do: Do, caplog: pytest.LogCaptureFixture) -> None:
    """What may have an effect, or hold only until its end, goes on, and the log says why, once."""
    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        assert not await is_ended(work, rows, do)
        await work.do(end_if_only_read)
    (message,) = caplog.messages
    assert message.startswith('fastapi_filestore.session_held reason="the transaction ')


ONLY_POSTGRES: dict[str, Do] = {
    "row security": lambda s: s.scalar(select(func.set_config("app.user", "bob", True))),
    "an advisory lock": lambda s: s.scalar(select(func.pg_advisory_xact_lock(7))),
    "shared": lambda s: s.execute(select(Document.id).with_for_update(read=True)).all(),
    "a key": lambda s: s.execute(select(Document.id).with_for_update(key_share=True)).all(),
    "written in a table expression": lambda s: s.execute(
        select(insert(Document).values(title="n").returning(Document.id).cte())
    ).all(),
}


@pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async"], indirect=True)
@pytest.mark.parametrize("do", ONLY_POSTGRES.values(), ids=ONLY_POSTGRES.keys())
async def test_what_lasts_as_long_as_its_transaction_is_kept(rows: Rows, work: Work, do: Do) -> None:
    """Settings and locks of a transaction outlast the wait for a client."""
    assert not await is_ended(work, rows, do)


@pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async"], indirect=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_snapshot_is_kept(rows: Rows, work: Work, level: str) -> None:
    """Whoever asked for one state of the database sees that until the end."""
    await work.do(lambda s: s.connection(execution_options={"isolation_level": level}))

    assert not await is_ended_after(work, lambda s: s.get(Document, 1))


async def is_ended_after(work: Work, do: Do) -> bool:
    """Do something, and return whether the transaction is ended as one that has only read."""
    await work.do(do)
    await work.do(end_if_only_read)
    return not await work.do(lambda s: s.in_transaction())


async def test_the_connection_of_somebody_else_is_kept(rows: Rows, work: Work) -> None:
    """A session on a connection that it was given leaves that as it is."""

    def run(connection: Connection) -> bool:
        session = Session(connection)
        session.scalar(select(func.count(Document.id)))
        end_if_only_read(session)
        kept = session.in_transaction() and connection.in_transaction()
        session.close()
        return kept

    if isinstance(rows.engine, AsyncEngine):
        async with rows.engine.connect() as connection:
            assert await connection.run_sync(run)
    else:
        with rows.engine.connect() as plain:
            assert run(plain)


async def test_the_first_connection_is_watched(rows: Rows) -> None:
    """What the first session of an engine sends is known as well as that of a later one."""
    await rows.add(title="t", file=pending())
    make: Any = type(rows.engine)
    engine = rows.engine.execution_options(logging_token="first")  # an engine of its own for SQLAlchemy's events

    assert isinstance(engine, make)
    work = Work((AsyncSession if isinstance(engine, AsyncEngine) else Session)(engine))
    assert not await is_ended_after(work, lambda s: s.execute(text("SELECT 1")).all())
    await work.close()


def test_one_connection_for_all_is_kept() -> None:
    """Sessions that share a connection keep it: who rolls back for one undoes what the others wrote."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with Session(engine) as session:
        session.execute(select(null()))
        end_if_only_read(session)

        assert session.in_transaction()
    engine.dispose()
