"""A file on its way in: what is known of it, and its bytes, which pass once."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType

from pydantic import BaseModel

from fastapi_filestore.errors import ContentConsumedError
from fastapi_filestore.intake.digest import NO_DIGESTS, DigestingStream
from fastapi_filestore.intake.media_types import known_type
from fastapi_filestore.intake.names import safe_filename
from fastapi_filestore.intake.validators import HEAD_BYTES, Validator
from fastapi_filestore.storage.content import ContentReader

NO_FIELDS: Mapping[str, str] = MappingProxyType({})


class Upload:
    """A file that a client is sending: content that can be stored, or iterated, once.

    The stream ends only when all that came with the file was read and found right: its digests, the fields after it,
    their limits. So whoever stores it stores nothing that is refused.

    Attributes:
        filename: What the client called it, sanitised.
        content_type: The media type that the client declared, which may be nonsense; None if it declared none.
        sniffed_type: The media type that the first bytes are of; None if nobody looked.
        fields: The form's text fields, those before the file at first and all of them once the stream has ended.
        values: The fields as the model that the route asked for, once the stream has ended.
        longest: The size that the file can't exceed, in bytes, if the client announced one.
        size: Bytes, once the stream has ended.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        filename: str,
        content_type: str | None = None,
        fields: Mapping[str, str] = NO_FIELDS,
        validate: Callable[[Mapping[str, str]], BaseModel] | None = None,
        validators: Sequence[Validator] = (),
        digests: Mapping[str, bytes] = NO_DIGESTS,
        longest: int | None = None,
    ) -> None:
        """Describe a file.

        Args:
            chunks: Its bytes; when they end, `fields` is complete.
            filename: What the client calls it.
            content_type: What the client says it is.
            fields: The other fields of its form.
            validate: What makes `values` of the fields, or raises.
            validators: Who may refuse it when its first bytes are there.
            digests: What the digests of its bytes must be, by hashlib's name.
            longest: The size that it can't exceed, in bytes, if that is known.
        """
        self.filename = safe_filename(filename)
        self.content_type = content_type
        self.sniffed_type: str | None = None
        self.fields = fields
        self.values: BaseModel | None = None
        self.longest = longest
        self.size: int | None = None
        self._validate, self._validators = validate, validators
        self._stream = DigestingStream(chunks, expected=digests)
        self._taken = False

    @property
    def known_type(self) -> str:
        """The media type that it is kept with: the declared one if it is one, else what the filename suggests."""
        return known_type(self.content_type, self.filename)

    @property
    def checksum(self) -> str | None:
        """The SHA-256 in hexadecimal digits, once the stream has ended."""
        return None if self.size is None else self._stream.hexdigest

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in hexadecimal digits."""
        return self._stream.hexdigest

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._taken:
            raise ContentConsumedError(f"{self.filename!r} comes straight from the client and can be read only once.")
        self._taken = True
        return self._pass()

    async def _pass(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async with aclosing(aiter(self._stream)) as chunks:
            async for chunk in chunks:
                if size == 0:
                    await self._check_head(chunk[:HEAD_BYTES])
                size += len(chunk)
                yield chunk
        if size == 0:
            await self._check_head(b"")
        if self._validate is not None:
            self.values = self._validate(self.fields)
        self.size = size

    async def _check_head(self, head: bytes) -> None:
        for validator in self._validators:
            await validator.validate(head, self)

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} size={self.size}>"


def digested(content: ContentReader) -> "tuple[Upload | DigestingStream, int | None]":
    """Return content as a stream that knows its SHA-256 in the end, and its size, or a bound of it, if known."""
    source = content.source
    if isinstance(source, Upload):
        return source, source.longest
    return DigestingStream(content.chunks()), content.size


class Uploads:
    """The files of one form, each an `Upload` that is to be stored before the next one comes.

    Iterate it once; a file that is not read is skipped. All fields are known once it has ended.

    Attributes:
        fields: The form's text fields that were read so far.
        values: The fields as the model that the route asked for, once the last file was read.
    """

    def __init__(
        self,
        uploads: AsyncGenerator[Upload, None],
        *,
        fields: Mapping[str, str],
        validate: Callable[[Mapping[str, str]], BaseModel] | None = None,
    ) -> None:
        self.fields = fields
        self.values: BaseModel | None = None
        self._uploads, self._validate = uploads, validate
        self._taken = False

    def __aiter__(self) -> AsyncGenerator[Upload, None]:
        if self._taken:
            raise ContentConsumedError("The files come straight from the client and can be read only once.")
        self._taken = True
        return self._pass()

    async def _pass(self) -> AsyncGenerator[Upload, None]:
        async with aclosing(self._uploads) as uploads:
            async for upload in uploads:
                yield upload
        if self._validate is not None:
            self.values = self._validate(self.fields)
