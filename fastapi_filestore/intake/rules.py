"""Say what a file must be to be taken: by a route, or by a column."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fastapi_filestore.errors import TooManyFilesError, UnsupportedUploadError, UploadTooLargeError
from fastapi_filestore.intake.names import FALLBACK_TYPE
from fastapi_filestore.intake.types.media_types import is_unspecific, is_within
from fastapi_filestore.intake.types.type_agreement import ranged_type
from fastapi_filestore.intake.validators import Described, TypesAgree, Validator


class ChecksObjects(Protocol):
    """A validator of stored objects; what a file is, only higher floors know."""

    async def validate_object(self, file: Any) -> None:
        """Raise an `UploadError` to refuse the file."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FileRules:
    """The rules for a file: its size in bytes, its type, and whatever validators make of it.

    `validators` look at the first bytes; `object_validators` at the stored object.
    `max_files` is for places that hold several.
    """

    max_size: int | None = None
    max_files: int | None = None
    content_types: tuple[str, ...] = ()
    validators: tuple[Validator, ...] = ()
    object_validators: tuple[ChecksObjects, ...] = ()
    sniffs: bool = field(init=False, repr=False)
    """Whether the types that the first bytes, the sender and the name tell must agree."""
    is_empty: bool = field(init=False, repr=False)
    """Whether any file will do."""

    def __post_init__(self) -> None:
        """Find what every file asks for."""
        object.__setattr__(self, "sniffs", any(isinstance(validator, TypesAgree) for validator in self.validators))
        limits = (self.content_types, self.validators, self.object_validators)
        object.__setattr__(self, "is_empty", self.max_size is None and not any(limits))

    def within(self, column: "FileRules") -> "FileRules":
        """Return these rules of a route as they are known before a file reaches a column with rules of its own.

        The column's validators see it there, but for the agreement of types, by which other rules know a type.
        """
        sizes = [size for size in (self.max_size, column.max_size) if size is not None]
        types = self.content_types or column.content_types
        own = () if self.sniffs else column.validators
        validators = (*(rule for rule in own if isinstance(rule, TypesAgree)), *self.validators)
        return replace(self, max_size=min(sizes, default=None), content_types=types, validators=validators)

    def with_max_size(self, size: int) -> "FileRules":
        """Return the same rules for files of no more than some bytes."""
        return self if self.max_size is not None and self.max_size <= size else replace(self, max_size=size)

    def needs_head(self, upload: Described) -> bool:
        """Tell whether the first bytes decide: for validators, or because nothing else says what type the file is."""
        return bool(self.validators or (self.content_types and is_unspecific(upload.known_type)))

    def check_declared(self, upload: Described) -> None:
        """Raise `UnsupportedUploadError` for a type that is not taken, as far as it is known without the bytes."""
        if self.content_types and not (self.sniffs and is_unspecific(upload.known_type)):
            self._check_type(upload)

    async def check_head(self, head: bytes, upload: Described) -> None:
        """Raise an `UploadError` unless a file with these first bytes is taken."""
        for validator in self.validators:
            await validator.validate(head, upload)
        if self.content_types:
            self._check_type(upload)

    def _check_type(self, upload: Described) -> None:
        if not self.content_types:
            return
        known = ranged_type(upload.known_type, upload.sniffed_type) if self.sniffs else upload.known_type
        if is_within(known, self.content_types):
            return
        # Whoever takes bytes of no known type takes whatever is declared as nothing else.
        if not (is_unspecific(upload.content_type) and is_within(FALLBACK_TYPE, self.content_types)):
            raise UnsupportedUploadError(known, self.content_types)

    def check_size(self, size: int) -> None:
        """Raise `UploadTooLargeError` for a file of too many bytes."""
        if self.max_size is not None and size > self.max_size:
            raise UploadTooLargeError("file", limit=self.max_size, actual=size)

    def check_count(self, files: int, *, field: str | None = None) -> None:
        """Raise `TooManyFilesError` for a list of too many files, in the field of a form if it comes in one."""
        if self.max_files is not None and files > self.max_files:
            raise TooManyFilesError(limit=self.max_files, actual=files, field=field)

    async def limit_chunks(
        self, chunks: AsyncGenerator[bytes, None], *, longest: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Pass chunks on until they are too many, which is an `UploadTooLargeError`; `longest` is about all of them."""
        size = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
                if self.max_size is not None and size > self.max_size:
                    raise UploadTooLargeError("file", limit=self.max_size, actual=longest, is_about=True)
                yield chunk


NO_RULES = FileRules()
