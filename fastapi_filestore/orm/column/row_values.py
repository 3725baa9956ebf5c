"""What is known of a row when its file is stored: a column may choose the folder of the file by it."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Delete, Insert, Update, inspect
from sqlalchemy.orm import Mapper

from fastapi_filestore.storage.paths import UnknownValueError, Values


class KnownValues(Mapping[str, Any]):
    """Values of a row of a class by attribute, in which what is None counts as unknown: no folder is called so."""

    __slots__ = ("_mapper", "_values")

    def __init__(self, mapper: Mapper[Any], values: Values) -> None:
        self._mapper, self._values = mapper, values

    def place_of(self, kind: object) -> str:
        """Return the attributes that a type of a column is that of, with their class."""
        model, attributes = self._mapper.class_.__name__, self._mapper.column_attrs
        return " and ".join(f"{model}.{each.key}" for each in attributes if each.columns[0].type is kind) or model

    def __getitem__(self, name: str) -> Any:
        value = self._values.get(name)
        if value is None:
            raise UnknownValueError(name, _why_unknown(self._mapper, name))
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name, value in self._values.items() if value is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def values_of(row: object) -> Values:
    """Return what is known of a row: what it was given, or has in the database, or gets as its columns' defaults."""
    state = inspect(row, raiseerr=True)
    given = {name: value for name, value in state.dict.items() if not name.startswith("_sa_")}
    if state.key is None:
        return values_of_new(state.mapper, given)
    stored = {
        each.key: getattr(row, each.key)
        for each in state.mapper.column_attrs
        if each.key not in given and not each.deferred
    }
    return KnownValues(state.mapper, {**stored, **given})


def values_in(statement: Insert | Update | Delete, mapper: Mapper[Any], given: Values) -> Values:
    """Return what is known of a row by a statement that gives it values, by attribute or by column."""
    by_column = {each.key: given[key] for each in mapper.column_attrs if (key := each.columns[0].key) in given}
    known = {**by_column, **given}
    return values_of_new(mapper, known) if isinstance(statement, Insert) else KnownValues(mapper, known)


def values_of_new(mapper: Mapper[Any], given: Values) -> Values:
    """Return what is known of a row that is made of some values: these, and the defaults of its columns."""
    defaults = {
        each.key: default.arg
        for each in mapper.column_attrs
        if (default := getattr(each.columns[0], "default", None)) is not None and default.is_scalar
    }
    return KnownValues(mapper, {**defaults, **{name: value for name, value in given.items() if value is not None}})


def _why_unknown(mapper: Mapper[Any], name: str) -> str:
    """Say why a value is not known when a file is stored, and what to do."""
    if name not in mapper.attrs:
        near = get_close_matches(name, mapper.attrs.keys(), 1)
        remedy = f"write row[{near[0]!r}]" if near else f"it has {', '.join(mapper.attrs.keys())}"
        return f"but {mapper.class_.__name__} has no attribute of that name: {remedy}."
    column = mapper.column_attrs[name].columns[0] if name in mapper.column_attrs else None
    makes = any(getattr(column, each, None) is not None for each in ("default", "server_default"))
    is_made = makes or getattr(column, "primary_key", False)
    cause = "which is made as the row is written, after" if is_made else "which is not known when"
    return (
        f"{cause} its file is stored: give it to the row with its file or before, or let the service or the router "
        f"know it, defaults={{{name!r}: ...}}."
    )
