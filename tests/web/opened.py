"""A script of an application with a ledger: its Filestore, its rows and its sessions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StorageRegistry, StoredObject, add_ledger


@dataclass(frozen=True, slots=True)
class Script:
    """What a script imports, and its database."""

    files: Filestore
    paper: type[Any]
    ledger: Any
    engine: Engine
    folder: Path

    @property
    def objects(self) -> list[Path]:
        """The objects in the store, and whatever else lies there."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def reserved(self) -> int:
        """The intents in the ledger."""
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(self.ledger.table)).scalar_one()

    def add(self, content: bytes) -> None:
        """Add a row with a file, and commit it."""
        with Session(self.engine) as session:
            session.add(self.paper(file=FileObject(filename="a.txt", content=content)))
            session.commit()

    def contents(self) -> list[bytes]:
        """Return the bytes of the files of all rows."""
        with Session(self.engine) as session:
            return [paper.file.get_content() for paper in session.scalars(select(self.paper))]


@contextmanager
def script(folder: Path, url: str | None = None) -> Iterator[Script]:
    """Give what a script works with, on SQLite or on the database of a URL."""
    registry = StorageRegistry()

    class Base(DeclarativeBase):
        pass

    ledger = add_ledger(Base.metadata)

    class Paper(Base):
        __tablename__ = "opened_papers"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject] = mapped_column(StoredObject(registry=registry))

    given: dict[str, Any] = {"_env_file": None, "backends": {"default": {"url": f"file://{folder}/objects"}}}
    files = Filestore(settings=FilestoreSettings(**given), registry=registry)
    engine = create_engine(url or f"sqlite:///{folder}/rows.db", poolclass=None if url is None else NullPool)
    Base.metadata.create_all(engine)
    yield Script(files, Paper, ledger, engine, folder / "objects")
    engine.dispose()
