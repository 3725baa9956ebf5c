"""Say where the bytes of a file are, and what stands for a value that is no file."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from fastapi_filestore.errors import UnreadableFileError

Location: TypeAlias = tuple[str | None, str]
"""The key of a backend, and a path in it."""


class FileState(Enum):
    """Tell where the bytes of a file are."""

    PENDING = "its content is not stored yet"
    RESERVED = "whoever holds its upload URL may still have to store it"
    STORED = "its bytes are complete at its object key"
    GONE = "its bytes were deleted"
    UNREADABLE = "its row does not say what it is"


@dataclass(slots=True)
class Unreadable:
    """A value in a row that can't be read as a file.

    Attributes:
        value: The JSON of the row.
        problem: What is wrong with it.
        place: Table, column and primary key of the row, once that is known.
    """

    value: object
    problem: str
    place: tuple[str, str, tuple[Any, ...]] | None = None

    def error(self) -> UnreadableFileError:
        """Return the error that tells it."""
        table, column, identity = self.place or (None, None, None)
        return UnreadableFileError(self.problem, table=table, column=column, identity=identity)
