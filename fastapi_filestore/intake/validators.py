"""Who may refuse a file before any of it is stored."""

from typing import Protocol

HEAD_BYTES = 64 * 1024
"""How much of a file's beginning validators see; a shorter file they see whole."""


class Described(Protocol):
    """What is known of a file when its first bytes are there."""

    filename: str
    content_type: str | None
    sniffed_type: str | None

    @property
    def known_type(self) -> str:
        """The media type that the file is kept with."""
        ...


class Validator(Protocol):
    """Looks at the first bytes of a file, and may refuse it before any of it is stored."""

    async def validate(self, head: bytes, upload: Described) -> None:
        """Raise an `UploadError` to refuse the file, of which `head` is the beginning."""
        ...
