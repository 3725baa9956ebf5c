"""Read the JSON of a column as it is, also where somebody wrote what is none."""

from typing import Any, Protocol

from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from fastapi_filestore.file_object.record import NotJSON


class Parser(Protocol):
    """Makes of a database's value what a column holds."""

    def __call__(self, value: Any) -> Any:
        """Return it."""
        ...


def lenient_parser(json: TypeEngine[Any], dialect: Dialect, coltype: object) -> Parser | None:
    """Return what a type of JSON reads a database's values with, where `NotJSON` stands for what it can't read.

    SQLite takes any text for JSON; the other databases look at what they are given.
    """
    parse = json.result_processor(dialect, coltype)
    if parse is None or dialect.name != "sqlite":
        return parse

    def parse_anything(value: Any) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError, RecursionError):
            return NotJSON(value)

    return parse_anything


class RawJSON(TypeDecorator[Any]):
    """The JSON of a file column, without making files of it."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Parser | None:
        """Read what is there, whatever it is."""
        return lenient_parser(self.impl_instance, dialect, coltype)
