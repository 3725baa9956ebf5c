"""Models of every kind that SQLAlchemy maps, and the schemas of what is read of them."""

from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Integer, String, func, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.declarative import ConcreteBase
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    mapped_column,
    relationship,
    synonym,
)

from fastapi_filestore import FileObject, StoredObject


class Base(DeclarativeBase):
    """The tables of the plain models."""


class DataBase(MappedAsDataclass, DeclarativeBase):
    """The tables of the models that are dataclasses."""


def stored(**options: Any) -> Any:
    """Return a file column."""
    return mapped_column(StoredObject(backend="web"), **options)


class Item(Base):
    """A base of joined subclasses, numbered."""

    __tablename__ = "items"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012 - as SQLAlchemy has it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    title: Mapped[str]


class Photo(Item):
    """A joined subclass whose key is called like its base's."""

    __tablename__ = "photos"
    __mapper_args__ = {"polymorphic_identity": "photo"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    file: Mapped[FileObject] = stored()


class Scan(Item):
    """A joined subclass whose key has a name of its own."""

    __tablename__ = "scans"
    __mapper_args__ = {"polymorphic_identity": "scan"}  # noqa: RUF012

    scan_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    file: Mapped[FileObject] = stored()


class LargeScan(Scan):
    """A joined subclass of one."""

    __tablename__ = "large_scans"
    __mapper_args__ = {"polymorphic_identity": "large"}  # noqa: RUF012

    large_id: Mapped[int] = mapped_column(ForeignKey("scans.scan_id"), primary_key=True)
    width: Mapped[int]


class Thing(Base):
    """A base of joined subclasses whose key is made up, and whose discriminator's attribute has another name."""

    __tablename__ = "things"
    __mapper_args__ = {"polymorphic_on": "type_", "polymorphic_identity": "thing"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    type_: Mapped[str] = mapped_column("type")


class Map(Thing):
    """A joined subclass of it."""

    __tablename__ = "maps"
    __mapper_args__ = {"polymorphic_identity": "map"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(ForeignKey("things.id"), primary_key=True)
    file: Mapped[FileObject] = stored()


class Deed(ConcreteBase, Base):
    """A base of concrete subclasses."""

    __tablename__ = "deeds"
    __mapper_args__ = {"polymorphic_identity": "deed", "concrete": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)


class Lease(Deed):
    """A concrete subclass."""

    __tablename__ = "leases"
    __mapper_args__ = {"polymorphic_identity": "lease", "concrete": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = stored()


class Owner(Base):
    """Whom reports belong to."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Tag(Base):
    """What is said of reports."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str]


class _Owned:
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    file: Mapped[FileObject] = stored()


def _report(lazy: Any) -> type[Any]:
    """Make a model whose relationships are read in a way."""
    name = f"Report{str(lazy).capitalize()}"
    join = f"foreign(Tag.owner_id) == {name}.owner_id"
    attributes = {
        "__tablename__": name.lower(),
        "__annotations__": {"owner": Mapped[Owner], "tags": Mapped[list[Tag]]},
        "owner": relationship(Owner, lazy="select" if lazy in {"dynamic", "write_only"} else lazy),
        "tags": relationship(Tag, lazy=lazy, primaryjoin=join, viewonly=True, uselist=True),
        "names": association_proxy("tags", "name"),
    }
    return type(name, (_Owned, Base), attributes)


REPORTS = [_report(lazy) for lazy in ("selectin", "joined", "subquery", "immediate", "select", "dynamic")]
UNREADABLE = [_report(lazy) for lazy in ("raise", "raise_on_sql", "write_only")]


class Abstract(Base):
    """A base that is no table."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True)
    made: Mapped[str] = mapped_column(server_default="now")


class Essay(Abstract):
    """A model with everything that is no plain column."""

    __tablename__ = "essays"

    title: Mapped[str]
    draft: Mapped[str | None] = mapped_column(deferred=True)
    secret: Mapped[str | None] = mapped_column(deferred=True, deferred_raiseload=True)
    plain = "a class attribute"
    file: Mapped[FileObject] = stored()
    heading = synonym("title")

    @hybrid_property
    def loud(self) -> str:
        """The title in capitals."""
        return self.title.upper()


setattr(Essay, "length", column_property(func.length(Essay.title)))  # noqa: B010 - as SQLAlchemy's documentation does


class Note(DataBase):
    """A dataclass with attributes that its constructor does not take."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    title: Mapped[str]
    state: Mapped[str] = mapped_column(init=False, default="new")
    remark: Mapped[str | None] = mapped_column(init=False)
    rank: Mapped[int] = mapped_column(default=3)
    file: Mapped[FileObject | None] = stored(init=False, default=None)


class Memo(DataBase, kw_only=True):
    """A dataclass that takes keywords only, and whose key has a factory."""

    __tablename__ = "memos"

    id: Mapped[str] = mapped_column(primary_key=True, default_factory=lambda: uuid4().hex)
    file: Mapped[FileObject] = stored()
    title: Mapped[str]


class Letter(Base):
    """A model with a constructor of its own, which takes a part of its attributes."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    shade: Mapped[str | None]
    file: Mapped[FileObject] = stored()

    def __init__(self, title: str) -> None:
        """Take the title alone."""
        self.title = f"Re: {title}"


class Paper(DataBase):
    """A dataclass with joined subclasses, whose constructor asks for the discriminator."""

    __tablename__ = "papers"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "paper"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    kind: Mapped[str]
    title: Mapped[str]


class Poster(Paper):
    """A joined subclass that is a dataclass."""

    __tablename__ = "posters"
    __mapper_args__ = {"polymorphic_identity": "poster"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("papers.id"), primary_key=True, init=False)
    file: Mapped[FileObject] = stored()


class Card(DataBase):
    """A dataclass that can't be made without what it is related to."""

    __tablename__ = "cards"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    note_id: Mapped[int] = mapped_column(ForeignKey("notes.id"), init=False)
    note: Mapped[Note] = relationship()
    file: Mapped[FileObject] = stored()


class Media(Base):
    """A base that has no rows of its own."""

    __tablename__ = "media"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_abstract": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    file: Mapped[FileObject] = stored()


class Film(Media):
    """A class of one table with its base."""

    __mapper_args__ = {"polymorphic_identity": "film"}  # noqa: RUF012


class Found(Base):
    """What a query finds."""

    __table__ = select(Media.__table__.c.id, Media.__table__.c.file).subquery("found")


PYDANTIC_NAMES = sorted(
    {name for name in [*dir(BaseModel), "Config", "model_dump_at", "root", "self", "cls"] if name[0] != "_"}
)
"""What columns may be called, and pydantic has a meaning for."""

Reserving = type(
    "Reserving",
    (Base,),
    {
        "__tablename__": "reserving",
        "id": mapped_column(Integer, primary_key=True),
        **{name: mapped_column(String, nullable=name == "json") for name in PYDANTIC_NAMES if name != "copy"},
        "json_": mapped_column(String, default="own"),
        "copy": stored(),
    },
)
"""A model all of whose columns have such names, the file's included."""


class Read(BaseModel):
    """What every model's rows are read as."""

    model_config = ConfigDict(from_attributes=True)

    file: FileObject


class OwnerRead(BaseModel):
    """An owner, or a tag."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class ReportRead(Read):
    """A report with what it is related to."""

    owner: OwnerRead
    tags: list[OwnerRead]
    names: list[str]


class EssayRead(Read):
    """Everything of an essay."""

    id: int
    title: str
    heading: str
    loud: str
    length: int
    draft: str | None
    made: str
