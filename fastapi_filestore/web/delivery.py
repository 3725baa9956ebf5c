"""How files reach clients: which way, who may keep a copy, and whether a browser may show them in place."""

from dataclasses import dataclass
from typing import Literal

from fastapi_filestore.settings.values import DownloadWay

Visibility = Literal["private", "public"]
"""Who may keep a copy: the client alone, or caches that many clients share, too."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one file is to reach its client.

    Attributes:
        way: Through the application, by a redirect to the store, or by the server in front.
        visibility: Who may keep a copy.
        immutable: Whether the URL names a version, so that a copy need never be asked about again.
        attachment: Whether it is a download even if a browser could show it.
        url_seconds: Life of the store's signed URLs.
        accel_prefix: Path of the internal locations of the server in front.
    """

    way: DownloadWay = "stream"
    visibility: Visibility = "private"
    immutable: bool = False
    attachment: bool = False
    url_seconds: int = 3600
    accel_prefix: str = "/protected/"


PRIVATELY = Delivery()
"""Through the application, for the client alone."""
