"""Watch the file attributes of mapped classes as these are configured, and refuse mappings that nobody could track."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Column, ColumnElement, Table, event, inspect
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute

from fastapi_filestore.errors import ConfigurationError, UnsupportedStatementError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.annotations import annotation_of, is_of_several
from fastapi_filestore.orm.column.stored_object import FileList, StoredObject
from fastapi_filestore.orm.mapped_types import AnyMapper, RowState
from fastapi_filestore.orm.unit_of_work.changes import files_in


def watch_or_refuse(mapper: AnyMapper, class_: type) -> None:
    """Make what is given to the file attributes of a class a file, and hear of it.

    Raises:
        ConfigurationError: Nobody could track the files of a column as it is mapped.
    """
    try:
        _refuse_two_names(mapper)
        for prop in mapper.column_attrs:
            _refuse_attribute(mapper, prop)
            if isinstance(prop.columns[0].type, StoredObject):
                _refuse_annotation(class_, prop.key, prop.columns[0].type)
                _watch_attribute(mapper, getattr(class_, prop.key), prop.columns[0], prop.columns[0].type)
    except ConfigurationError:
        mapper.configured = False  # else nobody would hear of it again, and the class be used as it is
        raise


def _refuse_annotation(model: type, name: str, column: StoredObject) -> None:
    """Refuse a list of files that is annotated as one file, and one file that is annotated as a list."""
    match is_of_several(annotation_of(model, name)), column.multiple:
        case True, False:
            problem = "several files, and its column holds one: say StoredObject(multiple=True), or annotate FileObject"
        case False, True:
            problem = "one file, and its column holds several: leave out multiple=True, or annotate list[FileObject]"
        case _:
            return
    raise ConfigurationError(f"{model.__name__}.{name} is annotated as {problem}.")


def _is_file_column(column: ColumnElement[object]) -> bool:
    return isinstance(column.type, StoredObject) and isinstance(getattr(column, "table", None), Table)


def _refuse_two_names(mapper: AnyMapper) -> None:
    names: dict[Collection[ColumnElement[object]], list[str]] = defaultdict(list)
    for prop in mapper.column_attrs:
        if _is_file_column(prop.columns[0]):
            names[prop.columns[0].base_columns].append(prop.key)
    for (column,), (name, *others) in names.items():
        if others:
            raise ConfigurationError(
                f"{column} is several attributes of {mapper.class_.__name__}: {', '.join([name, *others])}. SQLAlchemy "
                f"writes one of them alone, and passes over what the others are given: make them synonym({name!r})."
            )


def _refuse_attribute(mapper: AnyMapper, prop: ColumnProperty[object]) -> None:
    """Refuse an attribute whose files nobody could track."""
    model, column = mapper.class_.__name__, prop.columns[0]
    if len(prop.columns) > 1 and any(isinstance(place.type, StoredObject) for place in prop.columns):
        raise ConfigurationError(
            f"{' and '.join(map(str, prop.columns))} are one attribute of {model}, so each of its files would be in "
            "two places: give one of the two attributes another name."
        )
    # Where a class that is inherited from has a list of files, rows would be given lists.
    for base in mapper.iterate_to_root() if mapper.concrete and not _is_list(prop) else ():
        if prop.key in base.column_attrs and _is_list(base.column_attrs[prop.key]):
            raise ConfigurationError(
                f"{model}.{prop.key} is no list of files, and {base.class_.__name__}.{prop.key}, from whose class it "
                "inherits, is one: give one of the two attributes another name."
            )
    # The types that a type wraps, holds many of, or becomes on some databases.
    inner = [getattr(column.type, name, None) for name in ("impl_instance", "item_type")]
    inner += getattr(column.type, "_variant_mapping", {}).values()
    stores_files = isinstance(column.type, StoredObject)
    if not stores_files and any(isinstance(kind, StoredObject) for kind in inner):
        raise ConfigurationError(
            f"{column}: nobody would track the files of a {type(column.type).__name__}, which only wraps "
            "StoredObject, or has it as a variant: inherit from StoredObject instead, or make it the type of which "
            "others are variants."
        )
    # A default may be a file: all rows that get it would share one object.
    for name in ("default", "onupdate", "server_default", "server_onupdate") if stores_files else ():
        value = getattr(getattr(column, name, None), "arg", None)
        # SQLAlchemy wraps a function that takes no context.
        is_list = getattr(value, "__wrapped__", value) is list
        if value is not None and not is_list and str(value).strip("'") not in {"[]", "NULL"}:
            raise ConfigurationError(
                f"{column} has a {name}, which may be a file that many rows would share: give each row its own file "
                "where the row is made. Nothing but NULL and, of a list, default=list can be a default."
            )


def _is_list(prop: ColumnProperty[object]) -> bool:
    return isinstance(prop.columns[0].type, StoredObject) and prop.columns[0].type.multiple


def _watch_attribute(
    mapper: AnyMapper, attribute: InstrumentedAttribute[object], column: ColumnElement[object], kind: StoredObject
) -> None:
    """Make what an attribute is given what its column holds; refuse it where nobody would write it."""

    def inherit_records(state: RowState, value: object, old: object, initiator: object) -> object:
        # A list that takes the place of one that was read is made of what that held, as far as anybody knows.
        if isinstance(value, FileList) and value.origin is None and isinstance(old, FileList):
            value.records, value.origin = old.records, old.origin
        return value

    def coerce(target: object, value: object, old: object, initiator: object) -> FileObject | None:
        return None if value is None else FileObject.of(value)

    # Each class listens to its own attributes: what a concrete one inherits from may be another thing of that name.
    if kind.multiple:
        if mapper.concrete or mapper.inherits is None or attribute.key not in mapper.inherits.column_attrs:
            FileList.associate_with_attribute(attribute)  # which those that inherit do, too
        event.listen(attribute, "set", inherit_records, raw=True, retval=True)
    else:
        event.listen(attribute, "set", coerce, retval=True)
    if not isinstance(getattr(column, "table", None), Table):
        _refuse_files(mapper, attribute, column)


def _refuse_files(mapper: AnyMapper, attribute: InstrumentedAttribute[object], column: ColumnElement[object]) -> None:
    """Refuse to let an attribute that shows what a query finds be given files."""
    # A class that maps a query may show a column of a table, which SQLAlchemy would write.
    bases = (base for base in column.base_columns if isinstance(base, Column))
    shown = next((base for base in bases if base.table in mapper.tables), None)

    def refuse(target: object, value: object, old: object, initiator: object) -> None:
        if shown is not None:
            raise UnsupportedStatementError(
                f"{attribute} shows the files of {shown}, and nobody would track what becomes of them: change them in "
                f"a class that maps {shown.table}."
            )
        # What is stored may come from the row itself, which `merge` copies.
        if (new := next((file for file in files_in(value) if not file.is_stored), None)) is not None:
            raise UnsupportedStatementError(
                f"{attribute} shows what a query finds, so {new.filename!r} would be stored nowhere: set it in the row "
                "that holds it."
            )

    event.listen(attribute, "set", refuse)


@event.listens_for(object, "attribute_instrument", propagate=True)
def _watch_or_refuse_late(class_: type, key: str, attribute: InstrumentedAttribute[object]) -> None:
    # SQLAlchemy tells of no change to a mapping that it has configured.
    mapper: AnyMapper | None = inspect(class_, raiseerr=False)
    prop = getattr(attribute, "property", None)
    if mapper is None or not mapper.configured or not isinstance(prop, ColumnProperty):
        return
    if any(map(_is_file_column, prop.columns)):
        raise ConfigurationError(
            f"{class_.__name__}.{key} comes when {class_.__name__} is in use already, and nobody would track its "
            "files: map it in the class, or before the first row is made."
        )
    if isinstance(prop.columns[0].type, StoredObject):
        _watch_attribute(mapper, attribute, prop.columns[0], prop.columns[0].type)
