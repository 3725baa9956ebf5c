"""How many bytes a row takes in an answer, more or less: what a page adds up until it is full."""

from datetime import date, datetime, time, timedelta
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import inspect

from fastapi_filestore.file_object import FileObject

FILE_BYTES = 500
"""What is told of a file beside its name, its type and its metadata."""
VALUE_BYTES = 40
"""A name, a number or a date, with its name; and what a list or an object within a value costs beside its text."""
SMALL = (NoneType, bool, int, float, datetime, date, time, timedelta, UUID)
"""What takes no more than that."""


def size_of(row: object) -> int:
    """Return the bytes of what is loaded of a row's columns, as JSON."""
    state: Any = inspect(row)
    return sum(VALUE_BYTES + _size_of(state.dict.get(prop.key)) for prop in state.mapper.column_attrs)


def _size_of(value: object) -> int:
    if isinstance(value, FileObject):
        return FILE_BYTES + _size_of([value.filename, value.content_type, dict(value.metadata)])
    if isinstance(value, list) and any(isinstance(each, FileObject) for each in value):
        return sum(map(_size_of, value))
    if isinstance(value, bytes):
        return len(value) * 4 // 3  # as base64
    if isinstance(value, SMALL):
        return 0
    try:
        text = to_json(value, fallback=str, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError):  # text that is none, which other programs wrote
        return len(repr(value))
    # Empty lists are three bytes each on a page, and eighty in memory.
    return len(text) + (0 if isinstance(value, str) else VALUE_BYTES * (text.count(b"[") + text.count(b"{")))
