"""What each (nested) transaction of a session did to files, so that its end can be honoured."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.file_object import FileObject, Location

_BOOKS = "fastapi_filestore.books"


@dataclass(slots=True)
class Book:
    """The files of one (nested) transaction, by location.

    `fresh` are those whose bytes it stored; `references` counts, for each file, the rows that came to point to it
    less the rows that ceased to.
    """

    fresh: dict[Location, FileObject] = field(default_factory=dict)
    references: Counter[Location] = field(default_factory=Counter)
    files: dict[Location, FileObject] = field(default_factory=dict)
    committed: bool = False

    def store(self, files: Iterable[FileObject]) -> None:
        """Note files whose bytes go if the transaction is rolled back."""
        self.fresh.update((file.location, file) for file in files if file.fresh)

    def replace(self, old: Iterable[FileObject], new: Iterable[FileObject]) -> None:
        """Note that a row that held the old files holds the new ones."""
        before, after = {file.location: file for file in old}, {file.location: file for file in new}
        self.references.subtract(before.keys())
        self.references.update(after.keys())
        self.files.update(before | after)

    def absorb(self, inner: "Book") -> None:
        """Take over what a released savepoint did."""
        self.fresh.update(inner.fresh)
        self.references.update(inner.references)
        self.files.update(inner.files)

    def unreferenced(self) -> list[FileObject]:
        """Return the files that no row points to once this transaction is committed.

        A file stored in it had no row before; any other had one.
        """
        everything = self.files | self.fresh
        return [file for at, file in everything.items() if self.references[at] + (at not in self.fresh) <= 0]

    def kept(self) -> list[FileObject]:
        """Return the files stored in this transaction that rows point to."""
        return [file for at, file in self.fresh.items() if self.references[at] > 0]


def current_book(session: Session) -> Book:
    """Return the book of the innermost transaction of a session."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    assert transaction is not None, "files are booked inside a transaction only"
    books: dict[SessionTransaction, Book] = session.info.setdefault(_BOOKS, {})
    return books.setdefault(transaction, Book())


def open_book(session: Session) -> Book | None:
    """Return the book of the innermost transaction of a session, if anything was booked."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    books: dict[SessionTransaction | None, Book] = session.info.get(_BOOKS, {})
    return books.get(transaction)


def is_booked(session: Session, file: FileObject) -> bool:
    """Tell whether an open transaction of a session knows of a file's bytes."""
    books: dict[SessionTransaction, Book] = session.info.get(_BOOKS, {})
    return any(file.location in book.fresh for book in books.values())


def close_book(session: Session, transaction: SessionTransaction) -> Book | None:
    """Take the book of a transaction that ended out of its session, if anything was booked."""
    books: dict[SessionTransaction, Book] = session.info.get(_BOOKS, {})
    return books.pop(transaction, None)


def enclosing_book(session: Session, transaction: SessionTransaction) -> Book:
    """Return the book of the transaction around a savepoint."""
    outer = transaction.parent
    while outer is not None and not outer.nested and outer.parent is not None:
        outer = outer.parent
    assert outer is not None, "a savepoint has a transaction around it"
    books: dict[SessionTransaction, Book] = session.info.setdefault(_BOOKS, {})
    return books.setdefault(outer, Book())
