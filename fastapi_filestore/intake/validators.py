"""Refuse a file by its name, its type and its first bytes, before any of it is stored."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fastapi_filestore.errors import TypeMismatchError
from fastapi_filestore.intake.names import FALLBACK_TYPE, guess_content_type
from fastapi_filestore.intake.types.sniffing import require_sniffing
from fastapi_filestore.intake.types.type_agreement import types_agree

HEAD_BYTES = 64 * 1024
"""How much of a file's beginning validators see; a shorter file they see whole.

Signatures need 8 KiB; the root element of an SVG may follow long comments.
"""


class Described(Protocol):
    """A file as it is known when its first bytes are there."""

    @property
    def filename(self) -> str:
        """The name that the client gives it, sanitised."""
        ...

    @property
    def content_type(self) -> str | None:
        """The media type that the client declares, which may be nonsense; None if it declares none."""
        ...

    @property
    def sniffed_type(self) -> str | None:
        """The media type that the first bytes are of; None without the extra `sniff`."""
        ...

    @property
    def known_type(self) -> str:
        """The media type that the file is kept with."""
        ...


@runtime_checkable
class Validator(Protocol):
    """Looks at the first bytes of a file, and may refuse it before any of it is stored."""

    async def validate(self, head: bytes, upload: Described) -> None:
        """Raise an `UploadError` to refuse the file, of which `head` is the beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is about to be stored, or to come into a column."""

    filename: str
    content_type: str | None
    sniffed_type: str | None
    known_type: str


class TypesAgree:
    """Refuses a file whose declared type, name and first bytes don't go together: what `sniff=True` stands for.

    A type that is missing, says nothing, as `application/octet-stream` does, or is unknown here contradicts nothing,
    and neither does another name of the same type. Only bytes that a browser would run (HTML, XHTML, SVG) are no file
    of an unknown type. What can't be told from first bytes, such as one kind of text from another, is believed.
    """

    def __init__(self) -> None:
        """Refuse files whose types contradict each other.

        Raises:
            ConfigurationError: The extra `sniff` is not installed.
        """
        require_sniffing()

    async def validate(self, head: bytes, upload: Described) -> None:
        """Raise `TypeMismatchError` unless the three types can be those of one file."""
        named = guess_content_type(upload.filename)
        if not types_agree(upload.content_type, upload.sniffed_type, named):
            raise TypeMismatchError(
                declared=upload.content_type,
                sniffed=upload.sniffed_type,
                extension=None if named == FALLBACK_TYPE else named,
                is_empty=not head,
            )
