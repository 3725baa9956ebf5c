"""Take a file on its way in: what is known of it, and its bytes, which pass once."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Protocol, TypeGuard

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.errors import ContentConsumedError, FilePlace, NoFileChosenError, UploadError
from fastapi_filestore.intake.digests import NO_DIGESTS, DigestingStream
from fastapi_filestore.intake.header_parameters import read_parameters
from fastapi_filestore.intake.names import safe_filename
from fastapi_filestore.intake.no_field import no_field
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import likely_type
from fastapi_filestore.intake.types.sniffing import sniff
from fastapi_filestore.intake.validators import HEAD_BYTES
from fastapi_filestore.storage.content import ContentReader, read_content

NO_FIELDS: Mapping[str, str] = MappingProxyType({})


class Upload:
    """A file that a client is sending: content that can be stored, or iterated, once.

    The stream ends only when all that came with the file was read and found right: its digests, the fields after it,
    their limits. So whoever stores it stores nothing that is refused.

    Attributes:
        filename: What the client called it, sanitised.
        content_type: The media type that the client declared, which may be nonsense; None if it declared none.
        sniffed_type: The media type that the first bytes are of: known to the route where it sniffs or has validators,
            elsewhere once the file is being stored. None without the extra `sniff`.
        folder: The folder that the client had it in, such as `photos/2026`, if its route keeps that, else empty; a
            field behind the file tells it once the stream has ended.
        fields: The form's text fields, those before the file at first and all of them once the stream has ended.
        values: The fields as the model that the route asked for, once the stream has ended.
        longest: The size that the file can't exceed, in bytes, if the client announced one.
        rules: What the file must be.
        field: The form's field that it came in, where files come in several.
        place: Where it came in a form that takes several files, of one field or more; errors name it.
        size: Bytes, once the stream has ended.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say what gives one to a route."""
        return no_field(source, handler, name="Upload", right="upload: Annotated[Upload, Depends(files.upload())]")

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        filename: str,
        content_type: str | None = None,
        fields: Mapping[str, str] = NO_FIELDS,
        validate: Callable[[Mapping[str, str]], BaseModel] | None = None,
        rules: FileRules = NO_RULES,
        field: str | None = None,
        place: FilePlace | None = None,
        digests: Mapping[str, bytes] = NO_DIGESTS,
        longest: int | None = None,
        find_folder: Callable[[], str] | None = None,
    ) -> None:
        """Describe a file.

        Args:
            chunks: Its bytes; when they end, `fields` is complete.
            filename: What the client calls it.
            content_type: What the client says it is.
            fields: The other fields of its form.
            validate: What makes `values` of the fields, or raises.
            rules: What it must be, as its first bytes and the stored object show.
            field: The form's field that it came in, if there are several for files.
            place: Where it came in a form that takes several files.
            digests: What the digests of its bytes must be, by hashlib's name.
            longest: The size that it can't exceed, in bytes, if that is known.
            find_folder: What tells its folder, from its name and from `fields`.
        """
        self.filename = safe_filename(filename)
        self.content_type = content_type
        self.sniffed_type: str | None = None
        self.folder = "" if find_folder is None else find_folder()
        self.fields = fields
        self.values: BaseModel | None = None
        self.longest = longest
        self.size: int | None = None
        self.rules, self.field, self.place = rules, field, place
        self._validate, self._find_folder = validate, find_folder
        self._stream = DigestingStream(chunks, expected=digests)
        self._taken = self._examined = False
        self._home = HomeLoop()  # what feeds the body runs there

    @property
    def known_type(self) -> str:
        """The media type that it is kept with: the declared one, unless it says nothing, as `binary/octet-stream` does.

        Then it is what the filename suggests, else what the first bytes are of, once these are known.
        """
        return likely_type(self.content_type, self.filename, self.sniffed_type)

    @property
    def checksum(self) -> str | None:
        """The SHA-256 in hexadecimal digits, once the stream has ended."""
        return None if self.size is None else self._stream.hexdigest

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in hexadecimal digits."""
        return self._stream.hexdigest

    @property
    def passed(self) -> int:
        """Bytes that have passed."""
        return self._stream.passed

    async def peek(self, size: int) -> bytes:
        """Return the first bytes, as many as there are up to `size`, before the file is stored.

        Raises:
            ContentConsumedError: They have passed already, or will never come.
        """
        return await self._home.run(partial(self._stream.peek, size), self)

    async def examine(self) -> None:
        """Let the rules judge the first bytes, once; storing the file does so anyway.

        Raises:
            UploadError: They refuse the file.
        """

        async def judge() -> None:
            head = await self._stream.peek(HEAD_BYTES)
            self.sniffed_type = sniff(head)
            await self.rules.check_head(head, self)

        if not self._examined:
            await self._home.run(judge, self)
            self._examined = True

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._taken:
            raise ContentConsumedError(
                f"{self.filename!r} comes straight from the client and can be read only once: it was read already, or "
                "passed over. Store each file before you ask for the next one."
            )
        self._home.refuse_stopped(self)
        self._taken = True
        return self._home.each(self._pass(), self)

    def pass_over(self) -> None:
        """Note that its form was read on: what was not stored by now can't be stored any more."""
        self._taken = True

    async def _pass(self) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._stream), aclosing(aiter(self._stream)) as chunks:
                await self.examine()
                async for chunk in chunks:
                    yield chunk
        except UploadError as error:
            error.locate(self.place)
            raise
        if self._validate is not None:
            self.values = self._validate(self.fields)
        if self._find_folder is not None:
            self.folder = self._find_folder()
        self.size = self._stream.size

    async def aclose(self) -> None:
        """Let go of the request's body; what was not read can't be stored any more."""
        self._taken = True
        await self._home.run(self._stream.aclose, self)

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} size={self.size}>"


def chosen_content(content: object) -> ContentReader:
    """Return what reads content.

    Raises:
        NoFileChosenError: It is the upload that frameworks make of an input that was left empty: a part of a form that
            has neither a name nor bytes.
        UnsupportedContentError: It is text, or nothing that yields bytes.
    """
    if getattr(content, "filename", None) == "" and getattr(content, "size", None) == 0:
        field = None
        with suppress(AttributeError, LookupError, TypeError):
            field = read_parameters(getattr(content, "headers", {})["content-disposition"])[1].get("name")
        raise NoFileChosenError(field)
    return read_content(content)


def stream_of(content: ContentReader) -> "tuple[Upload | DigestingStream, int | None]":
    """Return content as a stream that knows its SHA-256 in the end, and its size, or a bound of it, if known."""
    source = content.source
    if isinstance(source, Upload | DigestingStream):
        return source, source.longest
    return DigestingStream(content.chunks()), content.size


class Uploads:
    """The files of one form, each an `Upload` that is to be stored before the next one comes.

    Iterate it once; a file that is not read is skipped, and can't be stored later. All fields are known once it has
    ended.

    Attributes:
        fields: The form's text fields that were read so far.
        values: The fields as the model that the route asked for, once the last file was read.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say what gives one to a route."""
        right = "uploads: Annotated[Uploads, Depends(files.uploads(max_files=10))]"
        return no_field(source, handler, name="Uploads", right=right)

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
        self._home = HomeLoop()

    def __aiter__(self) -> AsyncGenerator[Upload, None]:
        if self._taken:
            raise ContentConsumedError("The files come straight from the client and can be read only once.")
        self._home.refuse_stopped("A form's files")
        self._taken = True
        return self._home.each(self._pass(), "A form's files")

    async def _pass(self) -> AsyncGenerator[Upload, None]:
        async with aclosing(self._uploads) as uploads:
            async for upload in uploads:
                yield upload
                upload.pass_over()
        if self._validate is not None:
            self.values = self._validate(self.fields)


class UploadLike(Protocol):
    """An upload as FastAPI gives it: named, typed, and read with await."""

    @property
    def filename(self) -> str | None:
        """What the client calls it."""
        ...

    @property
    def content_type(self) -> str | None:
        """Its media type, as the client says."""
        ...

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        ...

    async def seek(self, offset: int) -> None:
        """Go to a place in the bytes."""
        ...


def is_upload(value: object) -> TypeGuard[UploadLike]:
    """Tell whether something is an upload of FastAPI, Starlette or one like theirs."""
    return (
        hasattr(value, "filename")
        and hasattr(value, "content_type")
        and iscoroutinefunction(getattr(value, "read", None))
    )
