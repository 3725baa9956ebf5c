"""Say by which columns a model's rows may be sorted, and read what is asked for."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, inspect

from fastapi_filestore.errors import ConfigurationError, InvalidFieldsError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.mapped_types import AnyMapper

LONGEST_QUOTED = 40
"""Characters of an unknown name that an error quotes."""


def sort_terms(sort: str | Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a sort, `-` before those that descend: from `-created_at,title`, or one by one."""
    texts = [sort] if isinstance(sort, str) else sort
    return tuple(term for text in texts for part in text.split(",") if (term := part.strip()))


def requested_terms(model: type, sort: str | Iterable[str], sortable: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a sort that a client asks for.

    Raises:
        InvalidFieldsError: A column is none of those that may be sorted by, or is named twice.
        ConfigurationError: Rows of the model may not be sorted at all.
    """
    if not sortable:
        raise ConfigurationError(
            f"Rows of {model.__name__} can't be sorted, since its service names no columns: sortable = ('title',) in "
            "its class, or files.service(..., sortable=['title'])."
        )
    terms = sort_terms(sort)
    names = [term.removeprefix("-") for term in terms]
    unknown = next((name for name in names if name not in sortable), None)
    message = None
    if unknown is not None:
        message = f"Sort by {', '.join(sortable)}, with - before it for descending; not by {unknown[:LONGEST_QUOTED]!r}"
    elif len(set(names)) < len(names):
        message = "Name each column to sort by once"
    if message is not None:
        raise InvalidFieldsError([{"loc": ("query", "sort"), "msg": message, "type": "sort"}])
    return terms


def check_sortable(model: type, names: Iterable[str]) -> tuple[str, ...]:
    """Return the attributes that rows of a model may be sorted by.

    Raises:
        ConfigurationError: One of them is no column, or one whose values have no order.
    """
    if isinstance(names, str):
        raise ConfigurationError(f"sortable={names!r} is one text: give a list of names, such as [{names!r}].")
    names = tuple(names)
    for name in names:
        require_orderable(inspect(model), name)
    return names


def require_orderable(mapper: AnyMapper, name: str) -> Any:
    """Return the column of an attribute that rows can be ordered by; `ConfigurationError` if they can't."""
    title = mapper.class_.__name__
    if name not in mapper.column_attrs:
        raise ConfigurationError(f"{title} can't be ordered by {name!r}: it has no such column.")
    column = mapper.columns[name]
    if isinstance(column.type, StoredObject | JSON):
        raise ConfigurationError(f"{title} can't be ordered by {name!r}: files and JSON have no order.")
    return column
