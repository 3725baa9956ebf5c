"""Tell what is known of a row when its file is stored, for a column may choose the folder of the file by it."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from sqlalchemy import Delete, Insert, Update, inspect

from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.storage.prefixes import UnknownValueError, Values


class KnownValues(Mapping[str, object]):
    """Values of a row of a class by attribute, in which what is None counts as unknown: no folder is called so."""

    __slots__ = ("_mapper", "_values")

    def __init__(self, mapper: AnyMapper, values: Values) -> None:
        self._mapper, self._values = mapper, values

    def place_of(self, kind: object) -> str:
        """Return the attributes that a type of a column is that of, with their class."""
        model, attributes = self._mapper.class_.__name__, self._mapper.column_attrs
        return " and ".join(f"{model}.{prop.key}" for prop in attributes if prop.columns[0].type is kind) or model

    def __getitem__(self, name: str) -> object:
        value = self._values.get(name)
        if value is not None:
            return value
        attributes = self._mapper.attrs.keys()
        if name not in attributes:
            near = get_close_matches(name, attributes, 1)
            remedy = f"write row[{near[0]!r}]" if near else f"it has {', '.join(attributes)}"
            model = self._mapper.class_.__name__
            raise UnknownValueError(name, f"but {model} has no attribute of that name: {remedy}.")
        columns = self._mapper.column_attrs
        column = columns[name].columns[0] if name in columns else None
        has_default = any(getattr(column, kind, None) is not None for kind in ("default", "server_default"))
        is_made = has_default or getattr(column, "primary_key", False)
        cause = "which is made as the row is written, after" if is_made else "which is not known when"
        raise UnknownValueError(
            name,
            f"{cause} its file is stored: give it to the row with its file or before, or let the service or the router "
            f"know it, defaults={{{name!r}: ...}}.",
        )

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
        prop.key: getattr(row, prop.key)
        for prop in state.mapper.column_attrs
        if prop.key not in given and not prop.deferred
    }
    return KnownValues(state.mapper, {**stored, **given})


def values_in(statement: Insert | Update | Delete, mapper: AnyMapper, given: Values) -> Values:
    """Return what is known of a row by a statement that gives it values, by attribute or by column."""
    by_column = {prop.key: given[key] for prop in mapper.column_attrs if (key := prop.columns[0].key) in given}
    known = {**by_column, **given}
    return values_of_new(mapper, known) if isinstance(statement, Insert) else KnownValues(mapper, known)


def values_of_new(mapper: AnyMapper, given: Values) -> Values:
    """Return what is known of a row that is made of some values: these, and the defaults of its columns."""
    defaults = {
        prop.key: default.arg
        for prop in mapper.column_attrs
        if (default := getattr(prop.columns[0], "default", None)) is not None and default.is_scalar
    }
    return KnownValues(mapper, {**defaults, **{name: value for name, value in given.items() if value is not None}})
