"""The tables that the model plays with: one family for each kind of ledger and of file column."""

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship

from fastapi_filestore import StoredObject, add_ledger, add_uploads
from fastapi_filestore.orm.ledger.ledger import Ledger, ledger_of

BACKEND: Final = "model"
LEDGERS: Final = ("none", "ledger", "triggers")
FILED: Final = {"Album": "albums", "Photo": "photos", "Print": "prints", "Card": "cards", "Artwork": "artworks"}
"""The classes with files, by name, and their tables."""
NAMES: Final = {**FILED, "Note": "notes"}
"""All classes. A note has no place for a file; those that inherit from it, and are never made, have one."""

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    **{name: ("held", "spare") if name == "Album" else ("held",) for name in FILED},
    "Note": (),
}
"""The file columns of each class."""
PARENTS: Final = {"Photo": "Album", "Print": "Photo", "Card": "Album", "Artwork": "Album"}
"""The class whose rows own those of each class, which go with their owner and when they leave it."""
PLACES: Final = {"Photo": "photos", "Print": "prints", "Card": "card", "Artwork": "artwork"}
"""The attribute of the owner that holds them."""
MANY: Final = frozenset({"Photo", "Print"})
"""The classes of which an owner has several rows."""


@dataclass(frozen=True)
class Family:
    """Classes of one metadata; each has its name as an attribute, where pickle finds it."""

    name: str
    metadata: MetaData
    multiple: bool
    Album: Any
    Photo: Any
    Print: Any
    Card: Any
    Artwork: Any
    Note: Any

    @property
    def ledger(self) -> Ledger | None:
        """The ledger beside the tables, if there is one."""
        return ledger_of(self.metadata)

    def kind(self, name: str) -> Any:
        """Return a class by name."""
        return getattr(self, name)


def _family(ledger: str, *, multiple: bool) -> Family:
    class Base(DeclarativeBase):
        pass

    if ledger != "none":
        add_ledger(Base.metadata, triggers=ledger == "triggers")
        add_uploads(Base.metadata, backend=BACKEND)

    class Tagged:
        __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it; keys are never used again

        id: Mapped[int] = mapped_column(primary_key=True)
        tag: Mapped[int] = mapped_column(unique=True)

    class Filed(Tagged):
        @declared_attr
        @classmethod
        def held(cls) -> Mapped[Any | None]:
            return mapped_column(StoredObject(backend=BACKEND, multiple=multiple))

    class Album(Filed, Base):
        __tablename__ = NAMES["Album"]

        spare: Mapped[Any | None] = mapped_column(StoredObject(backend=BACKEND, multiple=multiple, prefix="spare/"))
        artwork_id: Mapped[int | None] = mapped_column(ForeignKey("artworks.id"))
        photos: Mapped[list["Photo"]] = relationship(cascade="all, delete-orphan")
        card: Mapped["Card | None"] = relationship(cascade="all, delete-orphan")
        artwork: Mapped["Artwork | None"] = relationship(cascade="all, delete-orphan", single_parent=True)

    class Photo(Filed, Base):
        __tablename__ = NAMES["Photo"]

        album_id: Mapped[int | None] = mapped_column(ForeignKey("albums.id", ondelete="CASCADE"))
        prints: Mapped[list["Print"]] = relationship(cascade="all, delete-orphan")

    class Print(Filed, Base):
        __tablename__ = NAMES["Print"]

        photo_id: Mapped[int | None] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))

    class Card(Filed, Base):
        __tablename__ = NAMES["Card"]

        album_id: Mapped[int | None] = mapped_column(ForeignKey("albums.id", ondelete="CASCADE"))

    class Artwork(Filed, Base):
        __tablename__ = NAMES["Artwork"]

    class Note(Tagged, Base):
        __tablename__ = NAMES["Note"]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "note"}  # noqa: RUF012 - as above

        kind: Mapped[str]

    class Letter(Note):
        __tablename__ = "letters"
        __mapper_args__ = {"polymorphic_identity": "letter"}  # noqa: RUF012 - as above
        __table_args__ = {"sqlite_autoincrement": False}  # noqa: RUF012 - as above

        id: Mapped[int] = mapped_column(ForeignKey("notes.id"), primary_key=True)
        held: Mapped[Any | None] = mapped_column(StoredObject(backend=BACKEND, multiple=multiple))

    name = f"{ledger}_{'list' if multiple else 'single'}".upper()
    classes = (Album, Photo, Print, Card, Artwork, Note)
    for cls in classes:
        cls.__qualname__ = f"{name}.{cls.__name__}"
    return Family(name, Base.metadata, multiple, *classes)


FAMILIES: Final = {
    (ledger, multiple): _family(ledger, multiple=multiple) for ledger, multiple in product(LEDGERS, (False, True))
}
globals().update((family.name, family) for family in FAMILIES.values())  # where pickle looks for their classes
