"""What is known of a row when its file is stored: a column may choose the folder of the file by it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Delete, Insert, Update, inspect
from sqlalchemy.orm import Mapper

from fastapi_filestore.storage.layout import UnknownValueError, Values


class KnownValues(Mapping[str, Any]):
    """Values by attribute, in which what is None counts as unknown: no folder is called so."""

    __slots__ = ("_values",)

    def __init__(self, values: Values) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        value = self._values.get(name)
        if value is None:
            raise UnknownValueError(name)
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
    return KnownValues({**stored, **given})


def values_in(statement: Insert | Update | Delete, mapper: Mapper[Any], given: Values) -> Values:
    """Return what is known of a row by a statement that gives it values, by attribute or by column."""
    by_column = {each.key: given[key] for each in mapper.column_attrs if (key := each.columns[0].key) in given}
    known = {**by_column, **given}
    return values_of_new(mapper, known) if isinstance(statement, Insert) else KnownValues(known)


def values_of_new(mapper: Mapper[Any], given: Values) -> Values:
    """Return what is known of a row that is made of some values: these, and the defaults of its columns."""
    defaults = {
        each.key: default.arg
        for each in mapper.column_attrs
        if (default := getattr(each.columns[0], "default", None)) is not None and default.is_scalar
    }
    return KnownValues({**defaults, **{name: value for name, value in given.items() if value is not None}})
