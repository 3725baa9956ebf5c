"""Say how the uploads of a router are kept: whose they are, how many may be open, and how long they last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.size import parse_size


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How many uploads, and how many bytes in them, one owner may have open, and how long one lasts without activity.

    Without an owner, `most_of_all` is how many the router may have open, whoever began them.
    """

    most_open: int = 100
    most_bytes: int = 10 * 2**30
    lasts: timedelta = timedelta(hours=24)
    most_of_all: int | None = None


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How a router keeps uploads: `files.router(Document, uploads=UploadOptions(owner=current_user_id))`.

    Attributes:
        owner: A dependency that returns whose an upload is, such as the user's id. The router's own `defaults=` say so
            if it is None; where those are None as well, whoever knows an upload's id may use it.
        most_open: Uploads that one owner may have open.
        most_bytes: Bytes in them, as a number or with a unit: what was announced, else what has come.
        lasts: How long an upload lasts without activity.
        most_of_all: Uploads that may be open without an owner, whoever began them; any number if None. Have a limit of
            requests in front of the application then, too.

    Raises:
        ConfigurationError: One of the limits is none.
    """

    owner: Callable[..., Any] | None = None
    most_open: int = 100
    most_bytes: int | str = "10 GiB"
    lasts: timedelta = timedelta(hours=24)
    most_of_all: int | None = None

    def __post_init__(self) -> None:
        counts = [self.most_open] if self.most_of_all is None else [self.most_open, self.most_of_all]
        if min(counts) < 1 or self.lasts <= timedelta(0) or parse_size(self.most_bytes) < 1:
            raise ConfigurationError(
                "UploadOptions: most_open=, most_bytes=, most_of_all= and lasts= are more than zero."
            )

    def limits(self) -> UploadLimits:
        """Return the limits as numbers."""
        return UploadLimits(self.most_open, parse_size(self.most_bytes), self.lasts, self.most_of_all)

    def owner_of(self, given: object, defaults: Mapping[str, object]) -> str | None:
        """Return whose an upload is, as text: as a dependency said, else as the values say that new rows get."""
        if given is not None:
            return str(given)
        known = sorted((name, value) for name, value in defaults.items() if value is not None)
        return "\n".join(f"{name}={value}" for name, value in known) or None
