"""Decide who deletes a file's bytes if no row comes to hold them: it has one owner at a time.

A FileObject may be given to several units of work at once, such as a default picture that is a constant of a module.
The first to take it stores it and writes its row; every other one is refused, and touches nothing. A call of a service
takes it before bytes move, and the session's transaction takes it over with the flush, which journals it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import ref

from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.errors import SharedFileError
from fastapi_filestore.file_object import FileObject, Location

_guard = forkable_lock()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Delivery:
    """Files on their way to rows of a session that a flush is still to write; what that is storing is left to it."""

    session: Session
    files: list[FileObject] = field(default_factory=list[FileObject])
    is_over: bool = False

    def end(self) -> dict[Location, FileObject]:
        """Return what it stored and no flush took over; it stays the owner, so that nobody takes what is deleted."""
        fresh: dict[Location, FileObject] = {}
        with _guard:
            self.is_over = True
            for file in self.files:
                if file.custody.fresh and _owner(file) is self:
                    fresh[file.location] = file
        return fresh


Owner: TypeAlias = Session | Delivery


def own(owner: Owner, files: Iterable[FileObject]) -> None:
    """Make one the owner of files: all of them or, if one is another's, none.

    Raises:
        SharedFileError: Another unit of work is about to write one of them to a row of its own.
    """
    with _guard:
        owned: list[FileObject] = []
        for file in files:
            holder = _owner(file)
            if isinstance(owner, Delivery):
                may_own = holder in (None, owner, owner.session)
            else:
                is_for_owner = isinstance(holder, Delivery) and holder.session is owner and not holder.is_over
                may_own = holder in (None, owner) or is_for_owner
            if not may_own:
                raise SharedFileError(file.filename)
            # What a call is storing stays its own until it is stored, and what the session has stays the session's.
            if holder is None or (isinstance(holder, Delivery) and file.is_stored):
                owned.append(file)
        for file in owned:
            file.custody.unit = ref(owner)


def disown(owner: Owner, files: Iterable[FileObject]) -> None:
    """Note that files are nobody's any more, but for those that are another's by now."""
    with _guard:
        for file in files:
            if _owner(file) is owner:
                file.custody.unit = None


def _owner(file: FileObject) -> Owner | None:
    return None if file.custody.unit is None else file.custody.unit()
