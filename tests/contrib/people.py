"""People with files, and what the database and the store hold of them."""

from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, StoredObject, add_ledger


class Base(DeclarativeBase):
    """Whose tables are edited."""


class Photo(StoredObject):
    """A column type of the application's own."""

    cache_ok = True


class Person(Base):
    """A person with a photo, perhaps a letter, and certificates."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    photo: Mapped[FileObject] = mapped_column(Photo(content_types=["text/plain", "image/png"]))
    letter: Mapped[FileObject | None] = mapped_column(StoredObject())
    certificates: Mapped[list[FileObject]] = mapped_column(StoredObject(multiple=True), default=list)


add_ledger(Base.metadata)


def last_person(folder: Path) -> Person:
    """Return the last person as the database in a folder has it."""
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    try:
        with Session(engine) as session:
            person = session.query(Person).order_by(Person.id.desc()).first()
            assert person is not None
            return person
    finally:
        engine.dispose()


def stored(folder: Path) -> set[str]:
    """Return the content of all objects."""
    return {file.read_text() for file in (folder / "files").rglob("*") if file.is_file()}
