"""What was asked of a disk, call by call, and what the library said of it in between."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Operation = Literal["create", "write", "sync", "sync_folder", "make", "link", "rename", "remove", "remove_folder"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that succeeded.

    Attributes:
        operation: What was asked for; a copy between files is a `write`.
        path: The file or folder.
        target: Where a `link` or a `rename` leads.
        size: Bytes that were written.
    """

    operation: Operation
    path: PurePosixPath
    target: PurePosixPath | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """What the library has just said, and what it has to keep whatever happens.

    Attributes:
        path: The object.
        sizes: Those that it may have, whole, and None if it may be missing; without any, nothing is promised.
    """

    path: PurePosixPath
    sizes: frozenset[int | None] = frozenset()


@dataclass(frozen=True, slots=True)
class Commit:
    """What a database holds from now on.

    Attributes:
        rows: The objects that its rows point to.
        known: Those that the ledger has an intent of.
    """

    rows: frozenset[PurePosixPath]
    known: frozenset[PurePosixPath]


Event = Call | Promise | Commit
