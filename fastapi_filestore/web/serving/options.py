"""Say how files reach clients: which way, who may keep a copy, and whether a browser may show them in place."""

from dataclasses import dataclass
from typing import Literal, get_args

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings.values import DownloadWay

Visibility = Literal["private", "public"]
"""Who may keep a copy: the client alone, or caches that many clients share, too."""

CrossOrigin = Literal["same-origin", "same-site", "cross-origin"]
"""Whose pages may embed a file as a picture, sound, film or font, as Cross-Origin-Resource-Policy says it."""


def require_word(given: object, words: object, *, name: str) -> None:
    """Raise `ConfigurationError` if something is none of the words that an argument takes."""
    known = get_args(words)
    if given not in known:
        *others, last = map(repr, known)
        raise ConfigurationError(f"{name}{given!r} is none: write {', '.join(others)} or {last}.")


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """The way in which one file reaches its client.

    Attributes:
        way: Through the application, by a redirect to the store, or by the server in front.
        visibility: Who may keep a copy.
        immutable: Whether the URL names a version, so that a copy need never be asked about again.
        attachment: Whether it is a download even if a browser could show it.
        url_seconds: Life of the store's signed URLs.
        accel_prefix: Path of the internal locations of the server in front.
        cross_origin: Whose pages may embed it; if None, those of its site, or all if everybody may keep a copy.
    """

    way: DownloadWay = "stream"
    visibility: Visibility = "private"
    immutable: bool = False
    attachment: bool = False
    url_seconds: int = 3600
    accel_prefix: str = "/protected/"
    cross_origin: CrossOrigin | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for a word that is none, which would act as another one, or reach the client."""
        require_word(self.way, DownloadWay, name="downloads=")
        require_word(self.visibility, Visibility, name="visibility=")
        if self.cross_origin is not None:
            require_word(self.cross_origin, CrossOrigin, name="cross_origin=")


PRIVATELY = DownloadOptions()
"""Through the application, for the client alone."""
