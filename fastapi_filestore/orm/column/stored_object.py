"""`StoredObject`: the type of a column that holds one file, or a list of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, Self, SupportsIndex, TypeAlias

from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator

from fastapi_filestore.errors import ConfigurationError, PendingContentError, UnreadableFileError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.record import FileRecord, NotJSON, file_of, files_in, to_record, unreadable_file
from fastapi_filestore.file_object.validators import AnyValidator, file_rules
from fastapi_filestore.orm.column.assignment import as_files
from fastapi_filestore.orm.column.comparison import FileComparator
from fastapi_filestore.orm.column.row_values import KnownValues
from fastapi_filestore.orm.mapped_types import AnyType, RowState
from fastapi_filestore.storage.paths import can_be_held
from fastapi_filestore.storage.prefixes import Prefix, Values, check_prefix, choose_prefix
from fastapi_filestore.storage.registry import StorageRegistry, storages

Records: TypeAlias = Sequence[Mapping[str, object]]
"""The files of a list as the database has them."""


class Parser(Protocol):
    """A function that makes of a database's value what a column holds."""

    def __call__(self, value: Any) -> Any:
        """Return it."""
        ...


def lenient_parser(json: AnyType, dialect: Dialect, coltype: object) -> Parser | None:
    """Return what a type of JSON reads a database's values with, where `NotJSON` stands for what it can't read.

    SQLite takes any text for JSON; the other databases look at what they are given.
    """
    parse = json.result_processor(dialect, coltype)
    if parse is None or dialect.name != "sqlite":
        return parse

    def parse_anything(value: object) -> object:
        try:
            return parse(value)
        except (ValueError, TypeError, RecursionError):
            return NotJSON(value)

    return parse_anything


class RawJSON(TypeDecorator[object]):
    """The JSON of a file column, without making files of it."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Parser | None:
        """Read what is there, whatever it is."""
        return lenient_parser(self.impl_instance, dialect, coltype)


class FileList(MutableList[FileObject]):
    """The files of one row: a list whose changes in place the session sees, and which takes files and uploads.

    `is_held` says whether a row came to hold it, and was not given another one in its place. `records` are the files
    that the database held when it was read, `origin` the identity key and attribute of the row that it was read from.
    """

    is_held: bool = False
    records: Records | None = None
    origin: tuple[object, str] | None = None

    def append(self, x: object) -> None:
        """Add a file or an upload at the end."""
        super().append(FileObject.of(x))

    def insert(self, i: SupportsIndex, x: object) -> None:
        """Add a file or an upload before another."""
        super().insert(i, FileObject.of(x))

    def extend(self, x: Iterable[object]) -> None:
        """Add files and uploads at the end: all, or none if one of them is something else."""
        super().extend(as_files(x))

    def __iadd__(self, x: Iterable[object]) -> Self:  # type: ignore[override,misc]  # a list takes more than it holds
        self.extend(x)
        return self

    def __setitem__(self, index: SupportsIndex | slice, value: object) -> None:
        super().__setitem__(index, as_files(value) if isinstance(index, slice) else FileObject.of(value))

    def __reduce_ex__(self, proto: SupportsIndex) -> Any:
        return _unpickle, (type(self), list(self), self.records, self.origin)

    def belong(self, state: RowState, name: str) -> None:
        """Note the row that holds it, where no event told."""
        self._parents[state] = name
        self.is_held = True

    def let_go(self) -> None:
        """Note that a row was given another list in its place."""
        self.is_held = len(self._parents) > 0

    def changed(self) -> None:
        """Tell the rows that hold it: one, or one and its copies in other sessions.

        Raises:
            PendingContentError: There is nobody to tell: what is added would never be stored.
        """
        rows = [(state.obj(), name) for state, name in self._parents.items() if state.dict.get(name) is self]
        holders = [(row, name) for row, name in rows if row is not None]
        if self.is_held and not holders:
            raise PendingContentError(
                "The row of this list is gone, or has loaded another one since: keep the row in a name while you "
                "change its files, or change a list of your own, list(files)."
            )
        for row, name in holders:
            flag_modified(row, name)

    @classmethod
    def coerce(cls, key: str, value: object) -> "FileList | None":
        """Take any iterable of files and uploads; refuse anything else by name."""
        return value if value is None or isinstance(value, FileList) else cls(as_files(value))


def _unpickle(
    cls: type[FileList], files: Iterable[FileObject], records: Records, origin: tuple[object, str]
) -> FileList:
    unpickled = cls(files)
    unpickled.records, unpickled.origin = records, origin
    return unpickled


class StoredObject(TypeDecorator[Any]):
    """A column of one `FileObject`, or with `multiple` of a list of them, as JSON (JSONB on PostgreSQL).

    None is SQL NULL. Rows written by advanced-alchemy are read as they are.
    """

    # What Alembic writes into migrations, which must not depend on where this file lies.
    __module__ = "fastapi_filestore"

    impl = JSON
    cache_ok = True
    comparator_factory: Any = FileComparator

    def __init__(
        self,
        backend: str | None = None,
        *,
        multiple: bool = False,
        index: bool = False,
        registry: StorageRegistry = storages,
        max_size: int | str | None = None,
        max_files: int | None = None,
        content_types: Sequence[str] = (),
        sniff: bool = False,
        validators: Sequence[AnyValidator] = (),
        prefix: Prefix = "",
    ) -> None:
        """Describe the column.

        Args:
            backend: Key of the backend for files that name none; None is the registry's default. It is looked up
                when a file is stored, so the backend may be registered later.
            multiple: Hold a list of files.
            index: Make an index on the object keys, which `create_all` and Alembic know: with it, the question which
                rows hold a file reads no whole table. A list has one on PostgreSQL only.
            registry: Where backends are looked up.
            max_size: Largest file, in bytes or with a unit (`"10 MiB"`). This and what follows hold for every file that
                comes into a row, whichever way; not for those that are in one already. Migrations know nothing of it.
            max_files: Most files of a list.
            content_types: What a file may be, such as `image/*`; anything if empty. Without `sniff`, its declared type
                is believed.
            sniff: Refuse a file whose declared type, name and first bytes contradict each other: `TypesAgree()` before
                the other validators. Needs the extra `sniff`.
            validators: Who may refuse a file, by its first bytes (`Validator`) or as it is stored (`ObjectValidator`).
            prefix: The folder of the backend in which new files get their paths, as `invoices/`; or a function that
                returns it, of what is known of the row by attribute: `lambda row: f"tenants/{row['tenant_id']}/"`.
                Files that are stored already stay where they are. Migrations know nothing of it.

        Raises:
            ConfigurationError: A key, a size, a number, a type, a validator or a folder is none, or the extra `sniff`
                is missing.
        """
        super().__init__(none_as_null=True)
        given: object = backend  # whatever it is annotated as
        if given is not None and not (isinstance(given, str) and given.strip()):
            key = getattr(given, "key", None)
            remedy = f"register it, and say StoredObject(backend={key!r})" if isinstance(key, str) else "a text"
            raise ConfigurationError(
                f"StoredObject(backend={given!r}): give the key of a registered backend: {remedy}."
            )
        for name, switch in {"multiple": multiple, "index": index}.items():
            if not isinstance(switch, bool):
                raise ConfigurationError(f"StoredObject({name}={switch!r}): write True or False.")
        if max_files is not None and not multiple:
            raise ConfigurationError("A column of one file has no max_files: say multiple=True, or leave it out.")
        self.backend, self.multiple, self.index, self.registry = backend, multiple, index, registry
        self.folder = check_prefix(prefix)
        self.rules = file_rules(
            max_size=max_size, max_files=max_files, content_types=content_types, sniff=sniff, validators=validators
        )

    def __repr__(self) -> str:
        return f"StoredObject(backend={self.backend!r}, multiple={self.multiple!r})"

    @property
    def python_type(self) -> Any:
        """The type of its values, by which tools such as polyfactory know what to make up."""
        return list[FileObject] if self.multiple else FileObject

    def load_dialect_impl(self, dialect: Dialect) -> AnyType:
        """Use JSONB where there is one: it can be indexed and compared."""
        json = JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True)
        return dialect.type_descriptor(json)

    def coerce_compared_value(self, op: OperatorType | None, value: object) -> AnyType:
        """Compare members, as in `Document.file["filename"]`, the way the JSON type does."""
        return self.impl_instance.coerce_compared_value(op, value)

    def process_bind_param(self, value: object, dialect: Dialect) -> FileRecord | list[FileRecord] | None:
        """Write the files; refuse one whose bytes nobody stored."""
        if value is None:
            return None
        files = as_files(value) if self.multiple else [FileObject.of(value)]
        for file in files:
            file.refuse_unreadable()
            file.refuse_upload()
            if not file.is_stored:
                raise PendingContentError(
                    f"{file.filename!r} can't be written to a row: {file.state.value}. Add the row through a Session, "
                    "or `await file.save_async()` first."
                )
            if not self.rules.is_empty and file.custody.checked_by is not self.rules:
                raise PendingContentError(
                    f"{file.filename!r} can't be written to a row: nobody held it against the rules of its column. Add "
                    "the row through a Session."
                )
        return [to_record(file) for file in files] if self.multiple else to_record(files[0])

    def result_processor(self, dialect: Dialect, coltype: object) -> Parser | None:
        """Read the files, or what stands there instead."""
        parse = lenient_parser(self.impl_instance, dialect, coltype)
        if parse is None:
            return partial(self.process_result_value, dialect=dialect)

        def read(value: object) -> FileObject | FileList | None:
            return self.process_result_value(parse(value), dialect)

        return read

    def process_result_value(self, value: object, dialect: Dialect) -> FileObject | FileList | None:
        """Read the files; an unreadable one stands for a value that is none."""
        if value is None:
            return None
        try:
            records = files_in(value, multiple=self.multiple)
        except UnreadableFileError as error:
            files = [unreadable_file(value, error.problem, FileObject, registry=self.registry)]
        else:
            files = [file_of(record, FileObject, registry=self.registry) for record in records]
            for file in files:
                if file.backend is None:
                    file.backend = self.backend or self.registry.default_key
        for file in files:
            file.note_checked(self.rules)
            file.custody.is_listed = self.multiple
        return FileList(files) if self.multiple else files[0]

    def compare_values(self, x: object, y: object) -> bool:
        """Tell whether two values are stored alike, so that changed metadata of the same object is a change."""
        return x is y or (_comparable(x) == _comparable(y))

    def coerce(self, value: object) -> FileObject | FileList | None:
        """Return a value given to this column as what the column holds."""
        if value is None:
            return None
        return FileList.coerce("", value) if self.multiple else FileObject.of(value)

    def files(
        self, value: object, *, of: Callable[[], Values] | None = None, field: str | None = None
    ) -> list[FileObject]:
        """Return the files of a value of this column, each with its backend chosen, and its folder.

        `of` returns what is known of the row that it is for; without it, a folder that depends on that stays open.
        `field` is what errors call the column.

        Raises:
            TooManyFilesError: A list has more than it may have, and there are new ones among them.
            ConfigurationError: The folder depends on something that is not known.
            InvalidKeyError: No store can hold objects in such a folder.
        """
        if value is None:
            return []
        files = as_files(value) if self.multiple else [FileObject.of(value)]
        # A list that grew before it had a limit can still be read, and shortened.
        if self.multiple and any(file.custody.fresh or file.custody.checked_by is not self.rules for file in files):
            self.rules.check_count(len(files), field=field)
        for file in files:
            file.assign(self.backend, self.registry, self.rules)
            file.custody.is_listed = self.multiple
            if not file.gets_new_path:
                continue
            if isinstance(self.folder, str):
                file.prefix = self.folder
            elif of is not None:
                known = of()
                place = known.place_of(self) if isinstance(known, KnownValues) else ""
                file.prefix = choose_prefix(self.folder, known, place=place)
        return files

    def held_files(self, value: object) -> list[FileObject]:
        """Return the files of a value that was read from a row: those whose bytes a store may hold.

        What is replaced or deleted with the rest of a value, nobody knows: an audit keeps it till somebody has looked.
        """
        return [file for file in self.files(value) if file.unreadable is None and can_be_held(file.location[1])]


def _comparable(value: object) -> object:
    if isinstance(value, FileObject) and value.unreadable is not None:
        return (value.unreadable.value,)
    if isinstance(value, FileObject):
        return to_record(value) if value.is_stored else id(value)
    return [_comparable(item) for item in value] if isinstance(value, list) else value
