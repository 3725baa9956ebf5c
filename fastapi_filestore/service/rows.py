"""Read and write rows of one model through a plain `Session`: the part of the service that SQLAlchemy runs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, inspect, select, tuple_
from sqlalchemy.orm import QueryableAttribute, Session, lazyload, load_only

from fastapi_filestore.errors import OutOfScopeError, RowNotFoundError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.attributes import (
    FileAttribute,
    file_attributes,
    locked_values,
    stored_files,
)
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.column.table_rows import is_one_of, table_of, take_write_lock
from fastapi_filestore.orm.failures.refusals import (
    translate_attribute_errors,
    translate_row_errors,
    translate_value_errors,
    unfit_attributes,
)
from fastapi_filestore.orm.mapped_types import AnyMapper, Identity
from fastapi_filestore.orm.sessions import writing_bind, writing_connection
from fastapi_filestore.orm.unit_of_work.purging import purging
from fastapi_filestore.orm.unit_of_work.read_only import has_own_connections
from fastapi_filestore.orm.unit_of_work.readings import forget_read, note_locked
from fastapi_filestore.orm.unit_of_work.state import innermost_transaction

ModelT = TypeVar("ModelT")

AnyAttribute: TypeAlias = QueryableAttribute[Any]


@dataclass(frozen=True, slots=True)
class Rows(Generic[ModelT]):
    """The rows of a model within a scope, or all of them; what is outside is not found, and nothing gets there."""

    model: type[ModelT]
    scope: ColumnElement[bool] | None = None

    def add(self, session: Session, row: ModelT) -> None:
        """Write a new row."""
        session.add(row)
        flush(session, row)
        if self.scope is not None:
            self._refuse_outside(session, row)

    def fetch(self, session: Session, identity: object) -> ModelT:
        """Read a row; `RowNotFoundError` if there is none."""
        with translate_value_errors(partial(self._missing, identity)):
            if self.scope is None:
                row = session.get(self.model, identity)
            else:
                row = session.scalars(select(self.model).where(*self._conditions(identity))).unique().first()
        if row is None:
            raise self._missing(identity)
        return row

    def require(self, session: Session, identity: object) -> None:
        """Raise `RowNotFoundError` if there is no such row, and give the connection back: bytes move next."""
        # What a session has read already is there: its changes are of that, and conflict with those of others.
        key = inspect(self.model).identity_key_from_primary_key(tuple(_values(identity, self._keys())))
        row = session.identity_map.get(key) if self.scope is None else None
        if not isinstance(row, self.model) or inspect(row).expired:
            self._look_up(session, identity, *self._keys())

    def peek_files(self, session: Session, identity: object, attribute: FileAttribute) -> list[FileObject]:
        """Return the files of a row, `RowNotFoundError` if there is none, and give the connection back."""
        return attribute.type.held_files(self._look_up(session, identity, getattr(self.model, attribute.name))[0])

    def peek_list(self, session: Session, identity: object, attribute: FileAttribute) -> list[FileObject]:
        """Return all files of a row as `peek_files` does; `UnreadableFileError` if something else is among them."""
        files = attribute.type.files(self._look_up(session, identity, getattr(self.model, attribute.name))[0])
        for file in files:
            file.refuse_unreadable()
        return files

    def column_values(self, session: Session, identity: object) -> dict[str, object]:
        """Return what a row has in its columns but for files, and give the connection back: bytes move next."""
        names = [
            column.key
            for column in inspect(self.model).column_attrs
            if not column.deferred and not isinstance(column.columns[0].type, StoredObject)
        ]
        columns = [getattr(self.model, name) for name in names]
        return dict(zip(names, self._look_up(session, identity, *columns), strict=True))

    def lock_files(self, session: Session, identity: object, attribute: FileAttribute) -> list[FileObject]:
        """Return the files that a row holds in the database now, and lock it; `RowNotFoundError` if there is none."""
        row = self._lock(session, identity)
        found = stored_files(session, inspect(self.model), [inspect(row).identity], [attribute])
        if not found:  # it went before it was locked
            raise self._missing(identity)
        (files,) = found.values()
        # The row's own where they are the same: what changes in them in place is to be stored.
        loaded = attribute.type.held_files(inspect(row).dict.get(attribute.name))  # a deferred one stays so
        own = {file.location: file for file in loaded if file.is_stored}
        return [own.get(file.location, file) for file in files.get(attribute, [])]

    def change(self, session: Session, identity: object, values: Mapping[str, object]) -> ModelT:
        """Set attributes of a row."""
        attributes = file_attributes(inspect(self.model))
        lists = [attribute for attribute in attributes if attribute.type.multiple and attribute.name in values]
        known = set(session.identity_map.keys()) if lists else set[object]()
        row = self._lock(session, identity)
        if lists and inspect(row).key not in known:
            forget_read(inspect(row))  # nobody can have made the new list of what it held
        for name, value in values.items():
            with translate_attribute_errors(inspect(self.model), name):
                setattr(row, name, value)
        flush(session, row)
        if self.scope is not None:
            self._refuse_outside(session, row)
        return row

    def edit(
        self,
        session: Session,
        identity: object,
        attribute: FileAttribute,
        edit: Callable[[list[FileObject]], list[FileObject]],
        *,
        purge: bool = False,
    ) -> ModelT:
        """Change a list of files from what the database says it is now, under the lock of its row.

        With `purge`, none of the files that go is kept.
        """
        with translate_row_errors(self.model.__name__):
            session.flush()  # what the session did to the list before is a part of it
        row = self._lock(session, identity)
        values = locked_values(session, inspect(self.model), inspect(row).identity, attribute)
        if not values:  # it went before it was locked
            raise self._missing(identity)
        files = attribute.type.files(values[0])
        for file in files:
            file.refuse_unreadable()
        note_locked(inspect(row), attribute, values[0])
        with purging(session) if purge else nullcontext():
            setattr(row, attribute.name, edit(files))
            flush(session, row)
            if self.scope is not None:
                self._refuse_outside(session, row)
        return row

    def remove(self, session: Session, identity: object, *, purge: bool) -> None:
        """Delete a row; with `purge`, none of the files that go with it is kept."""
        row = self._lock(session, identity)
        if purge:
            flush(session, row)  # what is pending is none of this deletion
        with purging(session) if purge else nullcontext():
            session.delete(row)
            flush(session, row)

    # -- inside --------------------------------------------------------------------------------------

    def _missing(self, identity: object) -> RowNotFoundError:
        return RowNotFoundError(self.model.__name__, identity)

    def _keys(self) -> list[AnyAttribute]:
        mapper = inspect(self.model)
        return [getattr(self.model, mapper.get_property_by_column(column).key) for column in mapper.primary_key]

    def _conditions(self, identity: object) -> list[ColumnElement[bool]]:
        """Return what the row of a primary key fulfils, and that it is within the scope."""
        keys = self._keys()
        conditions = [key == value for key, value in zip(keys, _values(identity, keys), strict=True)]
        return conditions if self.scope is None else [*conditions, self.scope]

    def _look_up(self, session: Session, identity: object, *columns: Any) -> Any:
        """Return values of a row without the row: who reads it later must not find what it was now."""
        with translate_value_errors(partial(self._missing, identity)), in_passing(session):
            values = session.execute(select(*columns).where(*self._conditions(identity))).first()
        if values is None:
            raise self._missing(identity)
        return values

    def _lock(self, session: Session, identity: object) -> ModelT:
        # The row could leave the scope until it is written, unless it is locked while it is still inside.
        with translate_value_errors(partial(self._missing, identity)):
            is_inside = self.scope is None or self._is_inside(session, identity, lock=True)
            row = session.get(self.model, identity) if is_inside else None
        if row is None:
            raise self._missing(identity)
        return row

    def _refuse_outside(self, session: Session, row: ModelT) -> None:
        """Roll back and raise `OutOfScopeError` if a row was written that is outside of the scope."""
        if not self._is_inside(session, inspect(row).mapper.primary_key_from_instance(row)):
            # Whoever catches the error and commits must not commit the row.
            transaction = innermost_transaction(session)
            assert transaction is not None
            transaction.rollback()
            raise OutOfScopeError(self.model.__name__)

    def _is_inside(self, session: Session, identity: object, *, lock: bool = False) -> bool:
        mapper = inspect(self.model)
        connection = writing_connection(session, mapper)
        query = select(*self._keys()).where(*self._conditions(identity))
        if lock and connection.dialect.name == "sqlite":
            take_write_lock(connection, table_of(mapper))
        return connection.execute(query.with_for_update() if lock else query).first() is not None


def _values(identity: object, keys: Sequence[AnyAttribute]) -> Sequence[object]:
    # What Session.get takes: one value, several in order, or several by name.
    if isinstance(identity, Mapping):
        return [identity[key.key] for key in keys]
    return identity if isinstance(identity, tuple | list) else (identity,)


def load_columns(rows: Iterable[object], names: Iterable[str]) -> None:
    """Read columns of rows that were not read with them: deferred ones, and what a query left out.

    It takes one statement for all rows of a class, which changes nothing of what else they have.
    """
    lacking = defaultdict[tuple[Session, AnyMapper], list[Identity]](list)
    for row in rows:
        state = inspect(row, raiseerr=True)
        if state.session is not None and state.identity is not None:
            lacking[state.session, state.mapper].append(state.identity)
    for (session, mapper), identities in lacking.items():
        loaded = [getattr(mapper.class_, name) for name in names if name in mapper.column_attrs]
        key = mapper.primary_key
        wanted = is_one_of(key[0], [part for (part,) in identities]) if len(key) == 1 else tuple_(*key).in_(identities)
        with session.no_autoflush:
            session.scalars(select(mapper.class_).where(wanted).options(load_only(*loaded), lazyload("*"))).all()


@contextmanager
def in_passing(session: Session) -> Iterator[None]:
    """End the transaction that a block begins to read in, and expire nothing; one that was under way goes on."""
    outside = not session.in_transaction()
    try:
        yield
    finally:
        transaction = session.get_transaction()
        if outside and transaction is not None and has_own_connections(transaction):
            transaction.close()


def flush(session: Session, row: object) -> None:
    """Write what is pending, and read back what the database made of the row."""
    state = inspect(row)
    given = dict(state.dict)  # which a failing flush forgets

    def unfit_names() -> Iterator[str]:
        return unfit_attributes(state.mapper, given, writing_bind(session, state.mapper).dialect)

    with translate_row_errors(type(row).__name__, unfit_names):
        session.flush()
    made = state.expired_attributes & set(state.mapper.column_attrs.keys())
    if made and state.persistent:
        session.refresh(row, attribute_names=made)


def commit(session: Session, name: str) -> None:
    """Commit; `RowConflictError` if a constraint that is checked last is broken."""
    with translate_row_errors(name):
        session.commit()
