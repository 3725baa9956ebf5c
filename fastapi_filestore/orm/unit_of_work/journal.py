"""Keep a journal of what one (nested) transaction did to files, so that its end can be honoured."""

from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.storage.paths import is_upload_path

Files: TypeAlias = dict[Location, FileObject]
"""Files by where they are."""


def by_location(files: Iterable[FileObject]) -> Files:
    """Return files by where they are."""
    return {file.location: file for file in files}


@dataclass(slots=True)
class Journal:
    """The files of one (nested) transaction, by location.

    Attributes:
        fresh: Files whose bytes it stored.
        references: For each file, the places in rows that came to hold it, less those that ceased to.
        files: All files that such places held or hold.
        mappers: The classes of these rows.
        settled: Files whose upload intents it removed.
        intended: Files whose deletion intents it wrote (None: and took back).
        forgettable: Files that are gone while their intents are still there.
        owed: Files whose upload intents it could not see, which go once it is committed.
        lost: Files that a place in a row of some class ceased to hold, wherever they went.
        regained: Files that no row held, and that were taken back before they were deleted.
        purged: Files that are not to be kept though the ledger keeps others.
        purges: No file at all is to be kept.
        spared: Files that other rows hold as well; None if nobody asked.
        committed: It is committed; what follows is decided when it ends.
        uncertain: A savepoint undid some of that, and nobody knows what.
    """

    fresh: Files = field(default_factory=dict)
    references: Counter[Location] = field(default_factory=Counter)
    files: Files = field(default_factory=dict)
    mappers: set[AnyMapper] = field(default_factory=set)
    settled: set[Location] = field(default_factory=set)
    intended: dict[Location, BoundLedger | None] = field(default_factory=dict)
    forgettable: dict[Location, BoundLedger | None] = field(default_factory=dict)
    owed: dict[Location, BoundLedger] = field(default_factory=dict)
    lost: dict[Location, AnyMapper] = field(default_factory=dict)
    regained: set[Location] = field(default_factory=set)
    purged: set[Location] = field(default_factory=set)
    purges: bool = False
    spared: set[Location] | None = None
    committed: bool = False
    uncertain: bool = False

    def replace(self, before: Files, after: Files) -> None:
        """Note that a place in a row that held some files holds others."""
        for location in before:
            self.references[location] -= 1
        for location in after:
            self.references[location] += 1
        self.files.update(before)
        self.files.update(after)

    def absorb(self, inner: "Journal") -> None:
        """Take over what a released savepoint did."""
        self.fresh.update(inner.fresh)
        self.mappers |= inner.mappers
        self.references.update(inner.references)
        self.files.update(inner.files)
        self.settled |= inner.settled
        self.intended.update(inner.intended)
        self.forgettable.update(inner.forgettable)
        self.owed.update(inner.owed)
        self.lost.update(inner.lost)
        self.regained |= inner.regained
        self.purged |= inner.to_purge()
        self.uncertain |= inner.uncertain
        self.spared = self.spared if inner.spared is None else inner.spared

    def copy(self) -> "Journal":
        """Return a copy of the journal as it is now."""
        return replace(self, **{part.name: copy(getattr(self, part.name)) for part in fields(self)})

    def restore(self, before: "Journal") -> None:
        """Make the journal what it was before, but for the bytes that were stored or deleted since."""
        fresh, gone = before.fresh | self.fresh, before.forgettable | self.forgettable
        for part in fields(self):
            setattr(self, part.name, copy(getattr(before, part.name)))
        self.fresh, self.forgettable = fresh, gone

    def holders(self, location: Location) -> int:
        """Return how many places in rows hold a file: one stored or taken back here had none before, others had one."""
        return self.references[location] + (location not in self.fresh and location not in self.regained)

    def unreferenced_files(self) -> Files:
        """Return the files that no row points to once this transaction is committed."""
        return {location: file for location, file in (self.files | self.fresh).items() if self.holders(location) <= 0}

    def to_purge(self) -> set[Location]:
        """Return the files that are to be deleted at the commit, if no row holds them then."""
        return self.purged | (set(self.intended) if self.purges else set())

    def outlasts(self, location: Location) -> bool:
        """Tell whether a file stays all the same: other rows hold it, or the ledger keeps what a committed row held."""
        if location in (self.spared or ()):
            return True
        access = self.intended.get(location)
        if access is None or not access.ledger.keep_deleted or is_upload_path(location[1]):
            return False
        return location not in self.fresh and location not in self.to_purge()

    def kept_files(self) -> list[FileObject]:
        """Return the files stored in this transaction that a row points to."""
        return [file for location, file in self.fresh.items() if self.holders(location) > 0]
