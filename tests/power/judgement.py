"""What must be true after a power cut at whichever point."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath

from tests.power.calls import Call, Commit, Event, Promise
from tests.power.disk import Disk, File


@dataclass(slots=True)
class Judgement:
    """The power cuts that were tried, one after each call, and what was wrong after them.

    Attributes:
        disk: The disk as it is at this point.
        cuts: Their number.
        problems: One sentence for each thing that was wrong.
    """

    disk: Disk
    cuts: int = 0
    problems: list[str] = field(default_factory=list)
    _promises: dict[PurePosixPath, Promise] = field(default_factory=dict)
    _commit: Commit = field(default_factory=lambda: Commit(frozenset(), frozenset()))
    _heard_of: set[PurePosixPath] = field(default_factory=set)

    def follow(self, events: Iterable[Event]) -> None:
        """Cut the power after each of the events."""
        for event in events:
            match event:
                case Promise():
                    self._promises[event.path] = event
                case Commit():
                    self._commit = event
                    self._heard_of |= event.rows | event.known
                case Call():
                    self.disk.apply(event)
                    self.cuts += 1
            broken = chain(self._broken_promises(), self._broken_rows(), self._strays())
            self.problems += [f"after {self.cuts} calls, {problem}" for problem in broken]

    def _broken_promises(self) -> Iterator[str]:
        for promise in self._promises.values():
            for file in self.disk.after_a_cut(promise.path) if promise.sizes else ():
                found = None if file is None else file.size
                if found not in promise.sizes or not (file is None or file.is_whole):
                    yield f"{promise.path.relative_to(self.disk.top)} may be {_shown(file)}"

    def _broken_rows(self) -> Iterator[str]:
        for path in self._commit.rows:
            for file in self.disk.after_a_cut(path):
                if file is None or not file.is_whole:
                    yield f"{path.relative_to(self.disk.top)}, which a row points to, may be {_shown(file)}"

    def _strays(self) -> Iterator[str]:
        forgotten = self._heard_of - self._commit.rows - self._commit.known
        for path in self.disk.names_after_a_cut():
            if path.with_name(path.name.partition("#")[0]) in forgotten:
                yield f"{path.relative_to(self.disk.top)}, whose intent was forgotten, may be there"


def _shown(file: File | None) -> str:
    return "missing" if file is None else f"there, with {file.synced} of {file.size} bytes"
