"""Say how the uploads of a router are kept: whose they are, and how many may be open."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.size import parse_size
from fastapi_filestore.uploads.open_uploads import UploadLimits


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How `files.router(Document, uploads=...)` keeps uploads.

    Attributes:
        owner: A dependency that returns whose an upload is, such as the user's id. The router's own `defaults=` say so
            if it is None; without those whoever knows an upload's id may use it.
        most_open: Uploads that one owner may have open.
        most_bytes: Bytes in them, as a number or with a unit.
        lasts: How long an upload lasts without activity.
    """

    owner: Callable[..., Any] | None = None
    most_open: int = 100
    most_bytes: int | str = "10 GiB"
    lasts: timedelta = timedelta(hours=24)

    def limits(self) -> UploadLimits:
        """Return the limits as numbers.

        Raises:
            ConfigurationError: One of them is none.
        """
        if self.most_open < 1 or self.lasts <= timedelta(0):
            raise ConfigurationError("most_open= and lasts= of uploads are more than zero.")
        return UploadLimits(self.most_open, parse_size(self.most_bytes), self.lasts)
