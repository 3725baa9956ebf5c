"""Which tables a row of a class is in: classes with tables for themselves, joins by hand, classes that map a query."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import JSON, Engine, ForeignKey, String, delete, select, update
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    ObstoreBackend,
    StoredObject,
)
from tests.rows.classes import EMPLOYEES, Base, Employee, add, change, engine
from tests.rows.conftest import pending

__all__ = ["engine"]


class Manager(Employee):
    """One of them."""

    __tablename__ = "managers"
    __mapper_args__ = {"concrete": True}  # noqa: RUF012 - SQLAlchemy reads it

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))
    extra: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True))


class Director(Manager):
    """A row of two tables, the first of which is the manager's."""

    __tablename__ = "directors"

    manager_id: Mapped[int] = mapped_column(ForeignKey("managers.id", ondelete="CASCADE"), primary_key=True)
    seal: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Animal(ConcreteBase, Base):
    """A class without files, whose rows are read with those of the others."""

    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_identity": "animal", "concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)


class Cat(Animal):
    """One of the others."""

    __tablename__ = "cats"
    __mapper_args__ = {"polymorphic_identity": "cat", "concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))
    photos: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True))


class Paper(AbstractConcreteBase, Base):
    """A class without a table, whose columns are in the tables of others."""

    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True))


class Letter(Paper):
    """One of the others."""

    __tablename__ = "letters"
    __mapper_args__ = {"polymorphic_identity": "letter", "concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)


class Bill(Paper):
    """Another one."""

    __tablename__ = "bills"
    __mapper_args__ = {"polymorphic_identity": "bill", "concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    receipt: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Note(Employee):
    """A class that calls an attribute as the class does that it inherits from, and means another thing."""

    __tablename__ = "notes_of_employees"
    __mapper_args__ = {"concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[str | None] = mapped_column()  # type: ignore[assignment]


class Folder(Note):
    """A class with files where that which it inherits from has none, and the one above another kind of attribute."""

    __tablename__ = "folders_of_employees"
    __mapper_args__ = {"concrete": True}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[list[FileObject] | None] = mapped_column(StoredObject("rows", multiple=True))  # type: ignore[assignment]


def replace(model: type[Any], identity: int) -> Callable[[Session], object]:
    """Return what gives a row another file."""
    return lambda session: setattr(session.get_one(model, identity), "file", pending(b"new"))


@pytest.mark.parametrize(
    "work",
    [
        lambda session: session.delete(session.get_one(Employee, 1)),
        replace(Employee, 1),
        lambda session: session.merge(Employee(id=1, file=pending(b"merged"))),
        lambda session: session.execute(delete(Employee).where(Employee.id == 1)),
        lambda session: session.execute(update(Employee).values(file=pending(b"new"))),
        lambda session: session.execute(update(Employee), [{"id": 1, "file": pending(b"new")}]),
        lambda session: session.execute(delete(EMPLOYEES).where(EMPLOYEES.c.id == 1)),
    ],
)
def test_a_class_with_a_table_for_itself_keeps_its_files(engine: Engine, work: Callable[[Session], object]) -> None:
    """Rows of a concrete class are none of the class that it inherits from, though their keys may be the same."""
    add(engine, Employee(id=1, file=pending(b"e")))
    for identity, model in ((1, Manager), (2, Director)):
        add(engine, model(id=identity, file=pending(b"m"), extra=[pending(b"x"), pending(b"y")]))

    change(engine, work)

    with Session(engine) as session:
        for manager in (session.get_one(Manager, 1), session.get_one(Director, 2)):
            assert [file.get_content() for file in (manager.file or pending(), *(manager.extra or ()))] == [
                b"m",
                b"x",
                b"y",
            ]


def test_files_of_concrete_classes_go_with_their_rows(engine: Engine, backend: ObstoreBackend) -> None:
    """What a concrete class and those that inherit from it lose, and nothing else, is deleted."""
    add(engine, Employee(id=1, file=pending()), Manager(id=1, file=pending(), extra=[pending()]))
    add(engine, *(Director(id=each, file=pending(), extra=[pending()], seal=pending()) for each in (2, 3)))
    change(engine, replace(Manager, 1))
    change(engine, lambda session: session.execute(update(Manager).where(Manager.id == 2).values(extra=[pending()])))
    change(engine, lambda session: session.delete(session.get_one(Director, 2)))
    change(engine, lambda session: session.delete(session.get_one(Director, 3)))
    change(engine, lambda session: session.execute(delete(Manager)))
    change(engine, lambda session: session.execute(delete(Employee)))


ANIMALS: Any = Animal.__table__


CATS: Any = Cat.__table__


def test_rows_read_together_from_tables_of_several_classes(engine: Engine) -> None:
    """Of a union of tables, each row has the files of its own table."""
    add(engine, Animal(id=1), Animal(id=2), Animal(id=5))
    add(engine, *(Cat(id=each, file=pending(), photos=[pending(), pending()]) for each in (3, 4, 5)))

    def alter(session: Session) -> None:
        for animal in session.scalars(select(Animal)):
            if animal.id == 1:
                session.delete(animal)
            if animal.id == 3 and isinstance(animal, Cat) and animal.photos is not None:
                animal.file = pending(b"new")
                animal.photos.pop()

    change(engine, alter)
    change(engine, lambda session: session.execute(delete(ANIMALS).where(ANIMALS.c.id == 2)))
    change(engine, lambda session: session.execute(update(CATS).where(CATS.c.id == 4).values(file=pending(b"4"))))
    change(engine, lambda session: session.execute(delete(CATS).where(CATS.c.id == 5)))

    with Session(engine) as session:
        assert [(cat.id, len(cat.photos or ())) for cat in session.scalars(select(Cat).order_by(Cat.id))] == [
            (3, 1),
            (4, 2),
        ]


def test_columns_of_an_abstract_class_are_those_of_its_tables(engine: Engine) -> None:
    """Files are set and changed in rows of the tables, also where these are read as rows of the abstract class."""
    add(engine, *(Letter(id=each, file=pending(), pages=[pending()]) for each in (1, 2)))
    add(engine, *(Bill(id=each, file=pending(), receipt=pending()) for each in (1, 3)))

    def alter(session: Session) -> None:
        for paper in session.scalars(select(Paper)):
            if isinstance(paper, Letter) and paper.id == 1:
                session.delete(paper)
            elif isinstance(paper, Letter) and paper.pages is not None:
                paper.pages.append(pending(b"more"))
            elif isinstance(paper, Bill) and paper.id == 1:
                paper.file, paper.receipt = pending(b"new"), None

    change(engine, alter)
    change(engine, lambda session: session.execute(delete(Bill).where(Bill.id == 3)))

    with Session(engine) as session:
        assert [len(letter.pages or ()) for letter in session.scalars(select(Letter))] == [2]
        assert [(bill.file or pending()).get_content() for bill in session.scalars(select(Bill))] == [b"new"]


def test_attributes_of_concrete_classes_are_their_own(engine: Engine) -> None:
    """Each class takes for its attribute what its own column holds."""
    add(engine, Employee(id=1, file=pending()), Note(id=1, file="text"), Folder(id=1, file=[pending(b"a")]))

    def alter(session: Session) -> None:
        session.get_one(Note, 1).file = "other text"
        folder = session.get_one(Folder, 1)
        assert folder.file is not None
        folder.file.append(pending(b"b"))
        with pytest.raises(TypeError):
            session.get_one(Employee, 1).file = "text"  # type: ignore[assignment]

    change(engine, alter)

    with Session(engine) as session:
        assert session.get_one(Note, 1).file == "other text"
        assert [file.get_content() for file in session.get_one(Folder, 1).file or ()] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (lambda: mapped_column(String), r"Sub\.file is no list of files, and Top\.file, from whose class"),
        (lambda: mapped_column(StoredObject("rows")), r"Sub\.file is no list of files, and Top\.file"),
        (lambda: mapped_column(StoredObject("rows", multiple=True), default=pending), r"sub\.file has a default"),
        (lambda: mapped_column(JSON().with_variant(StoredObject("rows"), "sqlite")), r"sub\.file: nobody would track"),
    ],
)
def test_what_is_refused_in_a_class_is_refused_in_a_concrete_one(column: Callable[[], Any], said: str) -> None:
    """A column is looked at by itself, whatever the class has that its own inherits from."""

    class Own(DeclarativeBase):
        pass

    class Top(Own):
        __tablename__ = "top"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[Any] = mapped_column(StoredObject("rows", multiple="list" in said))

    class Sub(Top):
        __tablename__ = "sub"
        __mapper_args__ = {"concrete": True}  # noqa: RUF012 - as above

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[Any] = column()

    with pytest.raises(ConfigurationError, match=said):
        Own.registry.configure()
    Own.registry.dispose()
