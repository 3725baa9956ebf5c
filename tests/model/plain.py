"""The model: rows and files as plain values, and what each session made of them."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tests.model.tables import COLUMNS, PARENTS


@dataclass(frozen=True, slots=True)
class File:
    """A file as the one who gave it knows it; its content is no other's, and may be read only once."""

    content: bytes
    filename: str
    content_type: str = "text/plain"
    metadata: tuple[tuple[str, str], ...] = ()
    once: bool = False

    def marked(self, mark: str) -> "File":
        """Return it with a metadata value of its own."""
        return replace(self, metadata=tuple(sorted({**dict(self.metadata), "mark": mark}.items())))


Value: TypeAlias = File | tuple[File, ...] | None
"""What a file column holds."""
Place: TypeAlias = tuple[int, str]
"""A row's tag and the name of a column."""


def files_of(value: Value) -> tuple[File, ...]:
    """Return the files of a column's value."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def contents(value: Value) -> list[bytes]:
    """Return what tells whether two values hold the same objects."""
    return [file.content for file in files_of(value)]


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its class, the tag of the row that owns it, and its files."""

    kind: str
    parent: int | None
    values: Mapping[str, Value]


@dataclass
class Sheet:
    """What a transaction changed of the committed rows, and what it sees therefore."""

    committed: dict[int, Row]
    added: dict[int, Row] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    values: dict[Place, Value] = field(default_factory=dict)
    parents: dict[int, int | None] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)

    def copy(self) -> "Sheet":
        """Return a copy to come back to."""
        return Sheet(
            self.committed, copy(self.added), copy(self.gone), copy(self.values), copy(self.parents), copy(self.claims)
        )

    @property
    def is_clean(self) -> bool:
        """Whether it changed nothing."""
        return not (self.added or self.gone or self.values or self.parents or self.claims)

    def touched(self) -> set[int]:
        """Return the tags of the rows that it changed, and of those that own them."""
        rows = {*self.added, *self.gone, *self.parents, *(tag for tag, _ in self.values)}
        owners = {row.parent for tag, row in {**self.committed, **self.added}.items() if tag in rows}
        return rows | {owner for owner in {*owners, *self.parents.values()} if owner is not None}

    # -- seeing ------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[int]:
        """Iterate the tags of the rows that it sees, in order."""
        return (tag for tag in sorted({*self.committed, *self.added}) if tag not in self.gone)

    def has(self, tag: int) -> bool:
        """Tell whether it sees a row."""
        return tag not in self.gone and (tag in self.added or tag in self.committed)

    def row(self, tag: int) -> Row:
        """Return a row as it was when the transaction found or added it."""
        return self.added[tag] if tag in self.added else self.committed[tag]

    def kind(self, tag: int) -> str:
        """Return the name of a row's class."""
        return self.row(tag).kind

    def of_kind(self, kind: str) -> list[int]:
        """Return the tags of a class's rows."""
        return [tag for tag in self.rows() if self.kind(tag) == kind]

    def parent(self, tag: int) -> int | None:
        """Return the tag of the row that owns another."""
        return self.parents[tag] if tag in self.parents else self.row(tag).parent

    def children(self, tag: int, kind: str | None = None) -> list[int]:
        """Return the tags of the rows that a row owns."""
        return [each for each in self.rows() if self.parent(each) == tag and kind in {None, self.kind(each)}]

    def places(self) -> list[Place]:
        """Return all places for files."""
        return [(tag, column) for tag in self.rows() for column in COLUMNS[self.kind(tag)]]

    def value(self, place: Place) -> Value:
        """Return what a place holds."""
        tag, column = place
        return self.values[place] if place in self.values else self.row(tag).values.get(column)

    def whole(self, tag: int) -> Row:
        """Return a row as the transaction made it."""
        values = {column: self.value((tag, column)) for column in COLUMNS[self.kind(tag)]}
        return Row(self.kind(tag), self.parent(tag), values)

    def has_shared(self) -> bool:
        """Tell whether a file is in two places, as when a row that gave one away is read anew before it is written."""
        held = [content for place in self.places() for content in contents(self.value(place))]
        return len(held) > len(set(held))

    def committed_contents(self) -> set[bytes]:
        """Return the contents of all files of committed rows."""
        return {
            file.content for row in self.committed.values() for held in row.values.values() for file in files_of(held)
        }

    def owned(self) -> list[int]:
        """Return the tags of the rows that others own."""
        return [tag for tag in self.rows() if self.kind(tag) in PARENTS and self.parent(tag) is not None]

    # -- changing ----------------------------------------------------------------------------------------

    def add(self, tag: int, row: Row) -> None:
        """Add a row."""
        self.added[tag] = row

    def drop(self, tag: int) -> None:
        """Remove a row and those that it owns."""
        for child in self.children(tag):
            self.drop(child)
        self.added.pop(tag, None)
        self.parents.pop(tag, None)
        for place in [place for place in self.values if place[0] == tag]:
            del self.values[place]
        self.gone.add(tag)

    def commit(self) -> None:
        """Make the changes those of everybody."""
        rows = {tag: self.whole(tag) for tag in self.rows()}
        self.committed.clear()
        self.committed.update(rows)
        self.forget()

    def forget(self) -> None:
        """Forget the changes."""
        for changes in (self.added, self.gone, self.values, self.parents, self.claims):
            changes.clear()
