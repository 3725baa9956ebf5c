"""Note what an audit looked through, and the backends of which it must delete nothing."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

FEW = 100
"""Orphans of one backend that are deleted without being asked twice."""
SHARE = 100
"""Or a hundredth of its objects, whichever is more."""


@dataclass(slots=True)
class Coverage:
    """The tables and backends that an audit looked through, and where it deleted no orphan.

    Attributes:
        tables: The tables whose rows were read.
        backends: Keys of the backends whose objects were listed.
        objects: How many objects these have.
        rows: How many rows were read that hold files.
        unknown: Mapped classes with file columns whose database is not known.
        kept: Keys of the backends of which no orphan is deleted, each with the reason.
    """

    tables: list[str] = field(default_factory=list)
    backends: list[str] = field(default_factory=list)
    objects: int = 0
    rows: int = 0
    unknown: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)

    def keep(self, backends: Iterable[str], reason: str) -> None:
        """Let no orphan of some backends be deleted."""
        for backend in backends:
            self.kept.setdefault(backend, reason)

    def keep_for_unknown(self, backends: Collection[str]) -> None:
        """Let no orphan be deleted while rows that nobody can read may hold it."""
        if self.unknown:
            self.keep(backends, f"the database of {', '.join(self.unknown)} is not known.")

    def keep_many(self, backend: str, *, orphans: int, objects: int, at_most: int | None) -> None:
        """Let no orphan of a backend be deleted if there are too many to be believed."""
        if orphans > limit_of(objects, at_most):
            self.keep(
                [backend],
                f"{orphans:,} of its {objects:,} objects would go. See that every table with files is among those that "
                f"were read, then allow it: at_most={orphans} (--at-most {orphans}).",
            )


def limit_of(objects: int, at_most: int | None) -> int:
    """Return how many orphans of a backend with so many objects may be deleted."""
    return max(FEW, objects // SHARE) if at_most is None else at_most
