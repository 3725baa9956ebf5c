"""Say how the uploads of a router are kept: whose they are, how many may be open, and how long they last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.size import parse_size

IDS: Final = (str, int, UUID)
"""What an id of an owner is: the same in every request."""
LONGEST: Final = 200
"""Characters of an owner that is kept as it is."""


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
        owner: A dependency that returns whose an upload is: the user's id, a str, int or UUID, never the user's row.
            The router's own `defaults=` say so if it is None, by values of these types; where there are none either,
            whoever knows an upload's id may use it.
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
        """Return whose an upload is, as text: as a dependency said, else as the values say that new rows get.

        Raises:
            ConfigurationError: It is no id, such as a row of users: another request would have another one.
        """
        if given is not None:
            if not isinstance(given, IDS):
                raise ConfigurationError(
                    f"UploadOptions(owner=...) gave a {type(given).__name__}, which is another one in the next "
                    "request: let it return the id of whoever asks, a str, an int or a UUID, or None."
                )
            return _as_text(str(given))
        known = sorted((name, value) for name, value in defaults.items() if isinstance(value, IDS))
        return _as_text("\n".join(f"{name}={value}" for name, value in known)) if known else None


def _as_text(owner: str) -> str:
    """Return what a database keeps of an owner: the text, or its digest if it is long or no column could hold it."""
    return (
        owner if len(owner) <= LONGEST and owner.isprintable() else sha256(owner.encode("utf-8", "replace")).hexdigest()
    )
