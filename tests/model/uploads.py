"""Uploads as the model knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from fastapi_filestore.orm.uploads.tables import CLAIMED, COMPLETE, OPEN
from tests.model.plain import File


@dataclass
class Upload:
    """An upload as its client knows it.

    Attributes:
        identity: Its id.
        column: The column of albums that it is for.
        file: What it is to be.
        state: How far it is.
        received: The bytes of each segment.
        is_part: Others may be made of it.
        parts: The ids of those that it is made of.
        path: Where its client stored it.
        is_over: Its time is over: nobody finds it, and the next sweep ends it.
    """

    identity: str
    column: str
    file: File
    state: str = OPEN
    received: list[bytes] = field(default_factory=list)
    is_part: bool = False
    parts: Sequence[str] = ()
    path: str | None = None
    is_over: bool = False

    @property
    def end(self) -> int:
        """Where the next bytes belong."""
        return len(self.file.content) if self.state != OPEN or self.parts else sum(map(len, self.received))

    @property
    def is_all_there(self) -> bool:
        """Whether no byte is missing."""
        return self.path is not None or self.end == len(self.file.content)

    @property
    def can_be_taken(self) -> bool:
        """Whether a row may take it."""
        return self.state == COMPLETE and not self.is_over

    def wanted(self) -> tuple[object, ...]:
        """Return what the database is to say of it."""
        segments = self.received if self.state == OPEN else []
        return self.state, self.end, [self.file.content] if self.state == COMPLETE else [], segments


Uploads: TypeAlias = Mapping[str, Upload]
"""Uploads by their ids."""

__all__ = ["CLAIMED", "COMPLETE", "OPEN", "Upload", "Uploads"]
