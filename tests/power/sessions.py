"""Random transactions of a session with a ledger, whose files are in a local folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from random import Random

from sqlalchemy import Connection, Engine, create_engine, event, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, add_ledger, storages
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.sweep.sweep import sweep
from fastapi_filestore.storage.paths import generate_path
from tests.power.calls import Commit
from tests.power.disk import Disk
from tests.power.judgement import Judgement
from tests.power.recorder import Recorder, recording

KEY = "power"
TRANSACTIONS = 12


class Base(DeclarativeBase):
    """The table and its ledger."""


LEDGER = add_ledger(Base.metadata)


class Document(Base):
    """A row with one file and several pages."""

    __tablename__ = "power_documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend=KEY))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend=KEY, multiple=True))


class Transactions:
    """New, replaced and deleted files, list items, savepoints, rollbacks, files that clients stored, sweeps."""

    def __init__(self, engine: Engine, client: ObstoreBackend, random: Random) -> None:
        self._engine, self._client, self._random = engine, client, random

    def run(self) -> None:
        """Do all of it."""
        works = (self._add, self._add, self._replace, self._append, self._shorten, self._delete, self._claim, self._try)
        for _ in range(TRANSACTIONS):
            with Session(self._engine) as session:
                for _ in range(self._random.randint(1, 4)):
                    self._random.choice(works)(session)
                    session.flush()
                if self._random.random() < 0.7:
                    session.commit()
            if self._random.random() < 0.3:
                self._sweep()

    def _file(self) -> FileObject:
        return FileObject(filename="a.txt", content=bytes(self._random.randint(1, 20_000)))

    def _any(self, session: Session) -> Document:
        documents = session.scalars(select(Document)).all()
        return self._random.choice(documents) if documents else self._add(session)

    def _add(self, session: Session) -> Document:
        document = Document(file=self._file(), pages=[self._file()])
        session.add(document)
        return document

    def _replace(self, session: Session) -> None:
        self._any(session).file = self._random.choice((self._file, lambda: None))()

    def _append(self, session: Session) -> None:
        document = self._any(session)
        document.pages = [*(document.pages or ()), self._file()]

    def _shorten(self, session: Session) -> None:
        document = self._any(session)
        document.pages = (document.pages or [])[1:]

    def _delete(self, session: Session) -> None:
        document = self._any(session)
        session.flush()
        session.delete(document)

    def _claim(self, session: Session) -> None:
        """Let a row point to what somebody else stored, and did not sync."""
        path = f"client/{generate_path()}"
        run_blocking(self._client.put(path, b"from a client"))
        self._any(session).file = FileObject(KEY, "b.txt", path=path)

    def _try(self, session: Session) -> None:
        savepoint = session.begin_nested()
        self._add(session)
        session.flush()
        (savepoint.rollback if self._random.random() < 0.5 else savepoint.commit)()

    def _sweep(self) -> None:
        async def settle() -> None:
            await release_reservations()
            with self._engine.begin() as connection:
                connection.execute(update(LEDGER.table).values(due_at=0))
            async for _ in sweep(self._engine, LEDGER):
                pass

        run_blocking(settle())


def play_transactions(seed: int, folder: Path) -> Judgement:
    """Run transactions below a folder of their own, and cut the power after each call to the disk."""
    engine = _make_engine(folder)
    Base.metadata.create_all(engine)
    (folder / "disk").mkdir()
    with recording(folder / "disk") as recorder, _noting_commits(engine, recorder):
        root = recorder.top / "store"
        root.mkdir()
        storages.register_backend(ObstoreBackend(KEY, root))
        try:
            Transactions(engine, ObstoreBackend("client", root, durable=False), Random(seed)).run()  # noqa: S311 - no secret
        finally:
            run_blocking(release_reservations())
            storages.unregister_backend(KEY)
            engine.dispose()
    judgement = Judgement(Disk(PurePosixPath(recorder.top)))
    judgement.follow(recorder.events)
    return judgement


def _make_engine(folder: Path) -> Engine:
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    # Else the driver commits by itself at the end of a savepoint.
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


@contextmanager
def _noting_commits(engine: Engine, recorder: Recorder) -> Iterator[None]:
    def note(connection: Connection) -> None:
        # What is about to be committed must be durable now.
        recorder.note(_held(connection, lambda path: PurePosixPath(recorder.top / "store" / path)))

    event.listen(engine, "commit", note)
    try:
        yield
    finally:
        event.remove(engine, "commit", note)


def _held(connection: Connection, place: Callable[[str], PurePosixPath]) -> Commit:
    rows = connection.execute(text(f"SELECT file, pages FROM {Document.__tablename__}")).all()
    files = [json.loads(value) for row in rows for value in row if value is not None]
    flat = [file for value in files for file in (value if isinstance(value, list) else [value])]
    known = connection.scalars(select(LEDGER.table.c.path))
    return Commit(frozenset(place(file["path"]) for file in flat if file), frozenset(map(place, known)))
