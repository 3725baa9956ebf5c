"""Read what the rows of a database say of files, from the tables in batches, without mapping a row."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    SelectBase,
    Table,
    and_,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from fastapi_filestore.errors import ConfigurationError, UnreadableFileError
from fastapi_filestore.file_object.record import NotJSON, files_in, path_of, size_in, text_in
from fastapi_filestore.orm.column.stored_object import RawJSON, StoredObject
from fastapi_filestore.orm.holders.held_paths import rows_holding
from fastapi_filestore.orm.mapped_types import AnyColumn
from fastapi_filestore.service.audit.findings import RowIdentity
from fastapi_filestore.storage.backend import PlacedObjects
from fastapi_filestore.storage.registry import StorageRegistry

ROWS_AT_ONCE = 2000
"""Rows read in one short transaction."""


class ObjectLocation(NamedTuple):
    """A location in an audit, which always has a backend, and which is sorted by: its backend's key, and the path."""

    backend: str
    path: str


class Reference(NamedTuple):
    """One file that a row holds, with what the row says of it."""

    row: RowIdentity
    backend: str
    path: str
    size: int | None
    etag: str | None
    checksum: str | None

    @property
    def location(self) -> ObjectLocation:
        """The place of the object."""
        return ObjectLocation(self.backend, self.path)

    @property
    def place(self) -> tuple[RowIdentity, ObjectLocation]:
        """The place of the reference: it is another one when the row holds another file."""
        return self.row, self.location


class UnreadableRow(NamedTuple):
    """A value in a file column that can't be read as files, and the texts in it, which may name backends."""

    row: RowIdentity
    problem: str
    texts: frozenset[str]


class FiledRow(NamedTuple):
    """A row with what it holds: its primary key, its files, and what can't be read as files."""

    identity: tuple[object, ...]
    references: list[Reference]
    unreadable: list[UnreadableRow]


@dataclass(frozen=True)
class FileTable:
    """A table with columns that hold files.

    Attributes:
        table: The table.
        default_backend: Key of the backend of files that name none, in columns that name none.
        columns: The columns that hold files.
        is_asked: Whether the audit is about its rows; if not, they hold files of the same backends all the same.
    """

    table: Table
    default_backend: str
    columns: tuple[AnyColumn, ...]
    is_asked: bool = True

    @classmethod
    def of(cls, table: Table, default_backend: str, *, leave_out: Collection[str] = (), is_asked: bool = True) -> Self:
        """Describe a table with its columns that hold files, but for some by name."""
        columns = (
            column for column in table.columns if isinstance(column.type, StoredObject) and column.name not in leave_out
        )
        return cls(table, default_backend, tuple(columns), is_asked)

    @cached_property
    def key(self) -> tuple[AnyColumn, ...]:
        """The primary key."""
        key = tuple(self.table.primary_key.columns)
        if not key:
            raise ConfigurationError(f"The table {self.table.fullname!r} can't be audited: it has no primary key.")
        return key

    def backend_of(self, column: AnyColumn) -> str:
        """Return the key of the backend of files in a column that name none."""
        own, registry = _type_of(column).backend, _type_of(column).registry
        # What is registered nowhere else is in the audit's registry.
        return own or (registry.default_key if len(registry) else self.default_backend or registry.default_key)

    @property
    def registries(self) -> dict[str, StorageRegistry]:
        """The registry of each column that holds files, by the column's key."""
        return {column.key: _type_of(column).registry for column in self.columns}

    @property
    def backends(self) -> set[str]:
        """The backends of files that name none."""
        return {self.default_backend, *map(self.backend_of, self.columns)}

    # -- reading -------------------------------------------------------------------------------------

    def read(self, connection: Connection, *, after: tuple[object, ...] | None) -> list[FiledRow]:
        """Return the next rows after a primary key."""
        statement = self._rows().order_by(*self.key).limit(ROWS_AT_ONCE)
        if after is not None:
            if len(self.key) == 1:
                statement = statement.where(self.key[0] > after[0])
            else:
                bounds = [literal(value, column.type) for value, column in zip(after, self.key, strict=True)]
                statement = statement.where(tuple_(*self.key) > tuple_(*bounds))
        return list(self._parse(connection, statement))

    def reread(self, connection: Connection, identities: Collection[tuple[object, ...]]) -> list[FiledRow]:
        """Return what rows hold now; rows that are gone hold nothing."""
        return list(self._parse(connection, self._rows().where(self._is_one_of(identities))))

    def _rows(self) -> Select[Any]:
        # As plain JSON: a million rows need no million FileObjects.
        raw = [type_coerce(column, RawJSON).label(f"file_{number}") for number, column in enumerate(self.columns)]
        return select(*self.key, *raw).where(or_(*(column.is_not(None) for column in self.columns)))

    def _is_one_of(self, identities: Collection[tuple[object, ...]]) -> ColumnElement[bool]:
        if len(self.key) == 1:
            return self.key[0].in_([identity[0] for identity in identities])
        return or_(
            *(
                and_(*(column == value for column, value in zip(self.key, identity, strict=True)))
                for identity in identities
            )
        )

    def _parse(self, connection: Connection, statement: Select[Any]) -> Iterator[FiledRow]:
        width = len(self.key)
        for values in connection.execute(statement):
            parsed = FiledRow(tuple(values[:width]), [], [])
            for column, value in zip(self.columns, values[width:], strict=True):
                row = RowIdentity(self.table.fullname, column.key, parsed.identity)
                try:
                    files = files_in(value, multiple=_type_of(column).multiple)
                except UnreadableFileError as error:
                    parsed.unreadable.append(UnreadableRow(row, error.problem, frozenset(_texts(value))))
                    continue
                for file in files:
                    backend, size = file.get("backend") or self.backend_of(column), size_in(file)
                    etag, checksum = text_in(file, "etag"), text_in(file, "checksum")
                    parsed.references.append(Reference(row, backend, path_of(file), size, etag, checksum))
            yield parsed

    # -- looking for objects ---------------------------------------------------------------------------

    def holding(self, connection: Connection, paths: Sequence[str]) -> Iterator[SelectBase]:
        """Yield a query for each column: the locations among `paths` that it holds, as the rows spell them."""
        for column in self.columns:
            yield rows_holding(connection.dialect, column, self.backend_of(column), paths)

    # -- repairing ---------------------------------------------------------------------------------------

    def correct(self, connection: Connection, reference: Reference, facts: Mapping[str, object]) -> bool:
        """Write facts about an object into the row that holds it; False if it holds it no longer."""
        column, condition = self.table.c[reference.row.column], self._is_one_of([reference.row.identity])
        if connection.dialect.name == "sqlite":
            # The write lock, taken before the read, stands in for a row lock.
            connection.execute(update(self.table).where(condition).values({column: column}))
        value = connection.execute(select(type_coerce(column, RawJSON)).where(condition).with_for_update()).scalar()
        try:
            files = files_in(value, multiple=_type_of(column).multiple)
        except UnreadableFileError:
            return False
        corrected = [{**file, **facts} if path_of(file) == reference.path else dict(file) for file in files]
        if not any(path_of(file) == reference.path for file in corrected):
            return False
        stored = corrected if isinstance(value, list) else corrected[0]
        json = JSONB() if connection.dialect.name == "postgresql" else JSON()
        connection.execute(update(self.table).where(condition).values({column: type_coerce(stored, json)}))
        return True


def _type_of(column: AnyColumn) -> StoredObject:
    assert isinstance(column.type, StoredObject), "only columns that hold files are asked"
    return column.type


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value of JSON, or what is no JSON as it is."""
    waiting = [value.value if isinstance(value, NotJSON) else value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part


class OtherRegistries:
    """The registries of some tables' columns that are not the audit's own.

    Only what is registered in them counts: a column's registry may be empty, as the process's own is where everything
    goes through another.
    """

    def __init__(self, tables: Iterable[FileTable], own: StorageRegistry) -> None:
        self._own = own
        self._of_columns = {
            (table.table, name): registry
            for table in tables
            for name, registry in table.registries.items()
            if registry is not own
        }

    def is_elsewhere(self, table: FileTable, column: str, backend: str) -> bool:
        """Tell whether files of a column with a backend's key are in another registry's place, which is not audited."""
        other = self._of_columns.get((table.table, column))
        if other is None or backend not in other:
            return False
        if backend not in self._own:
            return True
        others, own = other.get_backend(backend), self._own.get_backend(backend)
        return isinstance(others, PlacedObjects) and isinstance(own, PlacedObjects) and others.place != own.place

    def split(self, table: FileTable, references: Iterable[Reference]) -> tuple[list[Reference], list[Reference]]:
        """Return those of a table's references that the audit is about, and those that only hold objects."""
        asked, others = list[Reference](), list[Reference]()
        for reference in references:
            is_asked = table.is_asked and not self.is_elsewhere(table, reference.row.column, reference.backend)
            (asked if is_asked else others).append(reference)
        return asked, others

    def claims(self, keys: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each of the audit's backends whose place one of another registry shares, and what that means."""
        others = [backend for registry in {*self._of_columns.values()} for backend in registry]
        for own in map(self._own.get_backend, keys):
            for other in others:
                if not (isinstance(own, PlacedObjects) and isinstance(other, PlacedObjects)):
                    continue
                # Both may hold one object under two names.
                if own.place.overlaps(other.place) and (own.key, own.place) != (other.key, other.place):
                    yield (
                        own.key,
                        (
                            f"backend {other.key!r} of another registry is at {other.url}, and objects of its rows may "
                            "look like orphans here: give each a folder, a bucket or a prefix beside the other's."
                        ),
                    )
