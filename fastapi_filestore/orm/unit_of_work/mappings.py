"""Mapped classes as they are configured: whose attributes are watched, and which mappings are refused."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Column, Table, event, inspect
from sqlalchemy.orm import ColumnProperty, InstanceState, InstrumentedAttribute, Mapper

from fastapi_filestore.errors import ConfigurationError, UnsupportedStatementError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.assignment import as_file
from fastapi_filestore.orm.column.stored_object import FileList, StoredObject
from fastapi_filestore.orm.unit_of_work.changes import files_in


def _coerce_on_set(target: object, value: object, old: object, initiator: object) -> FileObject | None:
    return None if value is None else as_file(value)


def _succeed(state: InstanceState[Any], value: object, old: object, initiator: Any) -> object:
    # A list that takes the place of one that was read is made of what that held, as far as anybody knows.
    if isinstance(value, FileList) and value.origin is None and isinstance(old, FileList):
        value.records, value.origin = old.records, old.origin
    return value


def watch_or_refuse(mapper: Mapper[Any], class_: type) -> None:
    """Make what is given to the file attributes of a class a file, and hear of it.

    Raises:
        ConfigurationError: Nobody could track the files of a column as it is mapped.
    """
    try:
        _refuse_two_names(mapper)
        for prop in mapper.column_attrs:
            _refuse_two_places(prop, class_)
            _refuse_list_elsewhere(mapper, prop)
            if isinstance(prop.columns[0].type, StoredObject):
                _refuse_default(prop.columns[0])
                _watch(mapper, getattr(class_, prop.key), prop.columns[0])
            else:
                _refuse_wrapped(prop.columns[0])
    except ConfigurationError:
        mapper.configured = False  # else nobody would hear of it again, and the class be used as it is
        raise


def _watch(mapper: Mapper[Any], attribute: InstrumentedAttribute[Any], column: Any) -> None:
    # Each class listens to its own attributes: what a concrete one inherits from may be another thing of that name.
    if column.type.multiple:
        inherited = mapper.inherits is not None and attribute.key in mapper.inherits.column_attrs
        if mapper.concrete or not inherited:
            FileList.associate_with_attribute(attribute)  # which those that inherit do, too
        event.listen(attribute, "set", _succeed, raw=True, retval=True)
    else:
        event.listen(attribute, "set", _coerce_on_set, retval=True)
    if isinstance(getattr(column, "table", None), Table):
        return
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


def _refuse_two_places(prop: ColumnProperty[Any], class_: type) -> None:
    if len(prop.columns) > 1 and any(isinstance(column.type, StoredObject) for column in prop.columns):
        raise ConfigurationError(
            f"{' and '.join(map(str, prop.columns))} are one attribute of {class_.__name__}, so each of its files "
            "would be in two places: give one of the two attributes another name."
        )


def _refuse_two_names(mapper: Mapper[Any]) -> None:
    names = defaultdict[Any, list[str]](list)
    for prop in mapper.column_attrs:
        if _is_file_column(prop.columns[0]):
            names[prop.columns[0].base_columns].append(prop.key)
    for (column,), (name, *others) in names.items():
        if others:
            raise ConfigurationError(
                f"{column} is several attributes of {mapper.class_.__name__}: {', '.join([name, *others])}. SQLAlchemy "
                f"writes one of them alone, and passes over what the others are given: make them synonym({name!r})."
            )


def _is_file_column(column: Any) -> bool:
    return isinstance(column.type, StoredObject) and isinstance(getattr(column, "table", None), Table)


@event.listens_for(object, "attribute_instrument", propagate=True)
def _watch_or_refuse_late(class_: type, key: str, attribute: Any) -> None:
    # SQLAlchemy tells of no change to a mapping that it has configured.
    mapper: Mapper[Any] | None = inspect(class_, raiseerr=False)
    prop = getattr(attribute, "property", None)
    if mapper is None or not mapper.configured or not isinstance(prop, ColumnProperty):
        return
    if any(map(_is_file_column, prop.columns)):
        raise ConfigurationError(
            f"{class_.__name__}.{key} comes when {class_.__name__} is in use already, and nobody would track its "
            "files: map it in the class, or before the first row is made."
        )
    if isinstance(prop.columns[0].type, StoredObject):
        _watch(mapper, attribute, prop.columns[0])


def _refuse_list_elsewhere(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> None:
    """Refuse what is no list of files where a class that is inherited from has one: its rows would be given lists."""
    if not mapper.concrete or _is_list(prop):
        return
    for base in mapper.iterate_to_root():
        if prop.key in base.column_attrs and _is_list(base.column_attrs[prop.key]):
            raise ConfigurationError(
                f"{mapper.class_.__name__}.{prop.key} is no list of files, and {base.class_.__name__}.{prop.key}, from "
                "whose class it inherits, is one: give one of the two attributes another name."
            )


def _is_list(prop: ColumnProperty[Any]) -> bool:
    return isinstance(prop.columns[0].type, StoredObject) and prop.columns[0].type.multiple


def _refuse_wrapped(column: Any) -> None:
    # The types that a type wraps, holds many of, or becomes on some databases.
    inner = (getattr(column.type, name, None) for name in ("impl_instance", "item_type"))
    if any(isinstance(kind, StoredObject) for kind in (*inner, *getattr(column.type, "_variant_mapping", {}).values())):
        raise ConfigurationError(
            f"{column}: nobody would track the files of a {type(column.type).__name__}, which only wraps "
            "StoredObject, or has it as a variant: inherit from StoredObject instead, or make it the type of which "
            "others are variants."
        )


def _refuse_default(column: Any) -> None:
    """Refuse a default that may be a file: all rows that get it would share one object."""
    for name in ("default", "onupdate", "server_default", "server_onupdate"):
        value = getattr(getattr(column, name, None), "arg", None)
        # SQLAlchemy wraps a function that takes no context.
        is_list = getattr(value, "__wrapped__", value) is list
        if value is not None and not is_list and str(value).strip("'") not in {"[]", "NULL"}:
            raise ConfigurationError(
                f"{column} has a {name}, which may be a file that many rows would share: give each row its own file "
                "where the row is made. Nothing but NULL and, of a list, default=list can be a default."
            )
