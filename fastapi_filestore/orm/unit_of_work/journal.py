"""What each (nested) transaction of a session did to files, so that its end can be honoured."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sqlalchemy.orm import Mapper, Session, SessionTransaction

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.ledger.ledger import LedgerAccess
from fastapi_filestore.orm.unit_of_work.ownership import own
from fastapi_filestore.storage.paths import is_upload_path

_BOOKS = "fastapi_filestore.books"


@dataclass(slots=True)
class Book:
    """The files of one (nested) transaction, by location.

    `fresh` are those whose bytes it stored. `references` counts, for each file, the places in rows that came to hold it
    less those that ceased to; `mappers` are the classes of these rows. `settled` are those whose upload intents it
    removed, `intended` those whose deletion intents it wrote (None: and took back), `forgettable` those that are gone
    while their intents are still there, `owed` those whose upload intents it could not see, which go once it is
    committed. `lost` are those that a place in a row of some class ceased to hold, wherever they went. `regained` are
    those that no row held, and that were taken back before they were deleted. `purged` are those that are not to be
    kept though the ledger keeps others; with `purges` none is. `spared` are those that other rows hold as well, None if
    nobody asked. It is `uncertain` if a savepoint undid some of that, and nobody knows what.
    """

    fresh: dict[Location, FileObject] = field(default_factory=dict)
    references: Counter[Location] = field(default_factory=Counter)
    files: dict[Location, FileObject] = field(default_factory=dict)
    mappers: set[Mapper[Any]] = field(default_factory=set)
    settled: set[Location] = field(default_factory=set)
    intended: dict[Location, LedgerAccess | None] = field(default_factory=dict)
    forgettable: dict[Location, LedgerAccess | None] = field(default_factory=dict)
    owed: dict[Location, LedgerAccess] = field(default_factory=dict)
    lost: dict[Location, Mapper[Any]] = field(default_factory=dict)
    regained: set[Location] = field(default_factory=set)
    purged: set[Location] = field(default_factory=set)
    purges: bool = False
    spared: set[Location] | None = None
    committed: bool = False
    uncertain: bool = False

    def replace(self, old: Iterable[FileObject], new: Iterable[FileObject]) -> None:
        """Note that a place in a row that held the old files holds the new ones."""
        before, after = {file.location: file for file in old}, {file.location: file for file in new}
        self.references.subtract(before.keys())
        self.references.update(after.keys())
        self.files.update(before | after)

    def absorb(self, inner: "Book") -> None:
        """Take over what a released savepoint did."""
        self.fresh.update(inner.fresh)
        self.mappers |= inner.mappers
        self.references.update(inner.references)
        self.files.update(inner.files)
        self.settled |= inner.settled
        self.intended.update(inner.intended)
        self.forgettable.update(inner.forgettable)
        self.owed.update(inner.owed)
        self.lost.update(inner.lost)
        self.regained |= inner.regained
        self.purged |= inner.to_purge()
        self.uncertain |= inner.uncertain
        self.spared = self.spared if inner.spared is None else inner.spared

    def copied(self) -> "Book":
        """Return a copy of the book as it is now."""
        return replace(self, **{each.name: copy(getattr(self, each.name)) for each in fields(self)})

    def restore(self, before: "Book") -> None:
        """Make the book what it was before, but for the bytes that were stored or deleted since."""
        fresh, gone = before.fresh | self.fresh, before.forgettable | self.forgettable
        for each in fields(self):
            setattr(self, each.name, copy(getattr(before, each.name)))
        self.fresh, self.forgettable = fresh, gone

    def holders(self, at: Location) -> int:
        """Return how many places in rows hold a file: one stored or taken back here had none before, others had one."""
        return self.references[at] + (at not in self.fresh and at not in self.regained)

    def unreferenced(self) -> dict[Location, FileObject]:
        """Return the files that no row points to once this transaction is committed."""
        return {at: file for at, file in (self.files | self.fresh).items() if self.holders(at) <= 0}

    def moved(self) -> dict[Location, Mapper[Any]]:
        """Return the files that one place lost and another holds, with the mapped class that lost them."""
        return {at: mapper for at, mapper in self.lost.items() if self.holders(at) > 0}

    def to_purge(self) -> set[Location]:
        """Return the files that are to be deleted at the commit, if no row holds them then."""
        return self.purged | (set(self.intended) if self.purges else set())

    def outlasts(self, at: Location) -> bool:
        """Tell whether a file stays all the same: other rows hold it, or the ledger keeps what a committed row held."""
        access = self.intended.get(at)
        is_kept = access is not None and bool(access.ledger.keep_deleted) and not is_upload_path(at[1])
        return at in (self.spared or ()) or (is_kept and at not in self.fresh and at not in self.to_purge())

    def kept(self) -> list[FileObject]:
        """Return the files stored in this transaction that a row points to."""
        return [file for at, file in self.fresh.items() if self.holders(at) > 0]


def _books(session: Session) -> defaultdict[SessionTransaction | None, Book]:
    if _BOOKS not in session.info:
        session.info[_BOOKS] = defaultdict(Book)
    books: defaultdict[SessionTransaction | None, Book] = session.info[_BOOKS]
    return books


def current_book(session: Session) -> Book:
    """Return the book of the innermost transaction of a session."""
    transaction = innermost_transaction(session)
    assert transaction is not None, "files are booked inside a transaction only"
    return _books(session)[transaction]


def open_book(session: Session) -> Book | None:
    """Return the book of the innermost transaction of a session, if anything was booked."""
    return _books(session).get(innermost_transaction(session))


def whole_book(session: Session) -> Book:
    """Return everything that the open transactions of a session did, as if it were to be committed now; to read."""
    books = _books(session)
    if len(books) == 1:
        return next(iter(books.values()))
    whole = Book()
    for book in books.values():
        whole.absorb(book)
    return whole


Books = Mapping[SessionTransaction | None, Book]
"""The books of the open transactions of a session."""


def copied_books(session: Session) -> Books:
    """Return copies of the books of a session, as they are now."""
    return {transaction: book.copied() for transaction, book in _books(session).items()}


def restore_books(session: Session, before: Books) -> None:
    """Make the books of a session what they were, but for the bytes that were stored or deleted since."""
    for transaction, book in _books(session).items():
        book.restore(before.get(transaction, Book()))


def doubt(session: Session, transaction: SessionTransaction | None) -> None:
    """Note that nobody knows any more what a transaction of a session did to files."""
    _books(session)[transaction].uncertain = True


def note_stored(session: Session, files: Iterable[FileObject]) -> None:
    """Note files whose bytes go if the innermost transaction is rolled back.

    What a transaction around it stored is left to that one: a savepoint may touch its rows, and is rolled back alone.

    Raises:
        SharedFileError: Another unit of work is about to write one of them to a row of its own.
    """
    new = {file.location: file for file in files if file.fresh and not is_booked(session, file)}
    own(session, list(new.values()))
    current_book(session).fresh.update(new)


def note_forgettable(session: Session, gone: Mapping[Location, LedgerAccess | None]) -> bool:
    """Note files that are gone, whose intents go when the open transaction has ended; False if there is none."""
    if innermost_transaction(session) is None:
        return False
    current_book(session).forgettable.update(gone)
    return True


def is_booked(session: Session, file: FileObject) -> bool:
    """Tell whether an open transaction of a session knows of a file's bytes."""
    return any(file.location in book.fresh for book in _books(session).values())


def close_book(session: Session, transaction: SessionTransaction) -> Book | None:
    """Take the book of a transaction that ended out of its session, if anything was booked."""
    return _books(session).pop(transaction, None)


def innermost_transaction(session: Session) -> SessionTransaction | None:
    """Return the innermost transaction of a session, a savepoint's or its only one, if it has begun."""
    return session.get_nested_transaction() or session.get_transaction()


def root_transaction(session: Session) -> SessionTransaction | None:
    """Return the outermost transaction of a session, if it has begun."""
    transaction = session.get_transaction()
    return next((one for one in _chain(transaction) if one.parent is None), None)


def unended(session: Session) -> list[SessionTransaction]:
    """Return the booked transactions, inner ones first, of whose end SQLAlchemy did not tell."""
    if not (books := _books(session)):
        return []
    open_ones = set(_chain(innermost_transaction(session)))
    stale = [one for one in books if one is not None and one not in open_ones]
    return sorted(stale, key=lambda one: not one.nested)


def is_open(session: Session, transaction: SessionTransaction | None) -> bool:
    """Tell whether a transaction of a session, or a savepoint of its own, has not ended."""
    return transaction in set(_chain(innermost_transaction(session)))


def enclosing_book(session: Session, transaction: SessionTransaction) -> Book:
    """Return the book of the transaction around a savepoint."""
    outer = next(one for one in _chain(transaction.parent) if one.nested or one.parent is None)
    return _books(session)[outer]


def _chain(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent
