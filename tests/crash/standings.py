"""How far uploads are, by the names of their files, and whether that agrees with what they hold."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sqlalchemy import Connection, select

from fastapi_filestore.orm.uploads.tables import CLAIMED, COMPLETE, OPEN
from tests.crash.models import UPLOADS

Standing: TypeAlias = tuple[int, int]
"""How far an upload is: one that comes later is greater."""
STATES: Final = (OPEN, COMPLETE, CLAIMED)
NOT_BEGUN: Final = (-1, 0)
ENDED: Final = (len(STATES), 0)


@dataclass
class Upload:
    """What the rows say of an upload.

    Attributes:
        state: Whether it is open, complete or claimed.
        received: The bytes that have come.
        parts: The ids of the uploads that it is made of.
        path: Where its client stores it.
        location: What took it.
        size: The size of the whole file that it holds; None if it holds none.
        segments: The size of each of its segments, by where it begins.
    """

    identity: str
    state: str
    received: int
    parts: list[str]
    path: str | None
    location: str | None
    size: int | None
    segments: dict[int, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether bytes may still come."""
        return self.state == OPEN

    @property
    def standing(self) -> Standing:
        """How far it is."""
        return STATES.index(self.state), self.received if self.is_open else 0

    def problems(self, others: Collection[str], titles: Collection[str]) -> Iterator[str]:
        """Yield what does not agree, given the ids of all uploads and the titles of all documents."""
        end = 0
        for start, size in sorted(self.segments.items()):
            if start != end:
                yield f"a segment begins at {start} instead of {end}"
            end = start + size
        if self.is_open and not self.parts and end != self.received:
            yield f"its segments have {end} bytes of {self.received}"
        if not self.is_open and self.segments:
            yield "it has segments still"
        if (self.size is not None) != (self.state == COMPLETE):
            yield f"it is {self.state}, and its file has {self.size} bytes"
        if self.state == COMPLETE and self.size != self.received:
            yield f"its file has {self.size} bytes of {self.received}"
        if self.is_open and (gone := set(self.parts) - set(others)):
            yield f"its parts {gone} are gone"
        if self.state == CLAIMED and self.location not in titles:
            yield f"{self.location}, which took it, is not there"


def read_uploads(connection: Connection) -> dict[str, Upload]:
    """Return what the rows say of all uploads, by the names of their files."""
    uploads, segments = UPLOADS.uploads, UPLOADS.segments
    found = dict[str, Upload]()
    names = dict[str, str]()
    for row in connection.execute(select(uploads)):
        parts = row.parts.split() if row.parts else []
        size = None if row.file is None else row.file.size
        found[row.filename] = Upload(row.id, row.state, row.received, parts, row.path, row.location, size)
        names[row.id] = row.filename
    for row in connection.execute(select(segments)):
        found[names[row.upload_id]].segments[row.start] = row.file.size
    return found


def problems_of(uploads: Mapping[str, Upload], titles: Collection[str]) -> list[str]:
    """Return what does not agree of uploads."""
    identities = {upload.identity for upload in uploads.values()}
    return [f"{name}: {problem}" for name, upload in uploads.items() for problem in upload.problems(identities, titles)]


@dataclass
class Course:
    """How far uploads are before a script and after it: in between, none falls back and none runs ahead."""

    before: Mapping[str, Standing] = field(default_factory=dict)
    after: Mapping[str, Standing] = field(default_factory=dict)

    def problems(self, now: Mapping[str, Standing], *, may_end: bool) -> list[str]:
        """Return what is not on its way; with `may_end`, the time of each may be over."""
        return [
            f"{name} is at {here}, and goes from {first} to {last}"
            for name in {*self.before, *self.after, *now}
            for first, last in [(self.before.get(name, NOT_BEGUN), self.after.get(name, ENDED))]
            for here in [now.get(name, ENDED if name in self.before else NOT_BEGUN)]
            if not (first <= here <= last or (may_end and name not in now))
        ]


def standings(uploads: Mapping[str, Upload]) -> dict[str, Standing]:
    """Return how far uploads are."""
    return {name: upload.standing for name, upload in uploads.items()}
