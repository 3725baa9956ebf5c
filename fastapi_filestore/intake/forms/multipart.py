"""Forms read as they come in: fields kept, files passed on, nothing ever written to a temporary file."""

import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from enum import Enum
from functools import cached_property

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from fastapi_filestore.errors import (
    ContentConsumedError,
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    TooManyFilesError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.forms.chunks import refuse_chunk
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.part_head import PartHead, read_head
from fastapi_filestore.intake.forms.preamble import Preamble
from fastapi_filestore.intake.header_parameters import MAX_HEADER_BYTES, UTF_8, codec_of_form, read_parameters
from fastapi_filestore.storage.content import MAX_PIECES, WORTHWHILE
from fastapi_filestore.storage.share import Share

MAX_HEADERS = 16
"""Headers of one part; three mean something."""

MAX_BOUNDARY = 256
"""Characters of a boundary; RFC 2046, section 5.1.1, allows 70, and few characters but letters and digits."""

CHARSET_FIELD = "_charset_"
"""The field in which a form says what charset it is in (RFC 7578, section 4.6), so it is none of its own."""


class _Mark(Enum):
    FILE_ENDS = 1
    FORM_ENDS = 2


class FormReader:
    """A form's body: call `next_file`, iterate `file_chunks`, and so on until there is no file left.

    `fields` has the text fields that were read so far: all of them once `next_file` has returned None.
    """

    def __init__(
        self,
        body: AsyncIterator[bytes],
        *,
        content_type: str,
        limits: FormLimits,
        memory: Share | None = None,
        announced: int | None = None,
        file_field: str | None = None,
        known: Collection[str] = (),
    ) -> None:
        """Read a body of this content type and, if it is announced, this size; long fields are kept in this memory.

        A part of text in `file_field` that is longer than a field may be is told as what it is: a file without a name.
        Fields that are `known` are text, though browsers give a `Blob` of it a filename; they mean what their reader
        wants them to, and not that a file is one chunk of several.

        Raises:
            MalformedUploadError: The type lacks a boundary, or has a charset that no form is in.
        """
        boundary, codec = _parameters(content_type)
        self._body, self._memory = body, memory
        self._turn = 0
        end = None if announced is None else announced - len(b"\r\n--" + boundary + b"--\r\n")
        self._collector = _Collector(limits, codec, file_field, end, known)
        self._preamble = Preamble(boundary)

    @cached_property
    def _parser(self) -> MultipartParser:
        return MultipartParser(
            self._preamble.boundary,
            {
                "on_part_begin": self._collector.begin_part,
                "on_header_field": self._collector.add_header_name,
                "on_header_value": self._collector.add_header_value,
                "on_header_end": self._collector.end_header,
                "on_headers_finished": self._collector.end_headers,
                "on_part_data": self._collector.add_data,
                "on_part_end": self._collector.end_part,
                "on_end": self._collector.end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    @property
    def fields(self) -> dict[str, str]:
        """The text fields that were read so far."""
        return self._collector.fields

    @property
    def left(self) -> int | None:
        """The bytes that the file whose head was read last may have, and what is behind it; None if nobody said so."""
        return self._collector.left

    async def next_file(self) -> PartHead | None:
        """Read on to the head of the next file; None at the end of the form, which is the end of the body.

        What was not read of the file before is passed over, for good.

        Raises:
            MalformedUploadError: The body is no form, or ends before its last boundary.
            UploadTooLargeError, TooManyFilesError: A limit is passed.
            MissingFileError: The part of a file has no filename.
            InvalidFieldsError: A field comes twice, or is a file.
        """
        self._turn += 1
        while (event := await self._next()) is not _Mark.FORM_ENDS:
            if isinstance(event, PartHead):
                return event
        return None

    def file_chunks(self, *, is_last: bool = False) -> AsyncGenerator[bytes, None]:
        """Return the bytes of the file whose head was read last; to read them raises what `next_file` does.

        After the last file the form is read to its end: there may be fields, and there must be an end.

        Raises:
            ContentConsumedError: As they are read: the form was read on to another file, or to its end.
        """
        return self._chunks_in(self._turn, is_last=is_last)

    async def _chunks_in(self, turn: int, *, is_last: bool) -> AsyncGenerator[bytes, None]:
        while isinstance(event := await self._next_in(turn), bytes):
            yield event
        if is_last:
            await self.next_file()

    async def _next_in(self, turn: int) -> "PartHead | bytes | _Mark":
        # What comes from here on is of another file, or nothing: neither may pass for the rest of this one.
        if turn != self._turn:
            raise ContentConsumedError(
                "This file of a form was passed over: store each file before you ask for the next one."
            )
        return await self._next()

    async def _next(self) -> "PartHead | bytes | _Mark":
        while not self._collector.events:
            chunk = await anext(self._body, None)
            if chunk is None:
                return self._end()
            self._parse(chunk)
            if self._memory is not None and self._collector.kept >= WORTHWHILE:
                await self._memory.keep(self._collector.kept)
        return self._collector.events.popleft()

    def _parse(self, chunk: bytes) -> None:
        begun = self._preamble.pass_over(chunk)
        try:
            if self._preamble.is_over:
                self._parser.write(begun)
        except FormParserError as error:
            raise MalformedUploadError(f"The form can't be read: {error}") from error
        self._collector.position += len(chunk)

    def _end(self) -> _Mark:
        if not self._preamble.is_over:
            raise self._preamble.missing()
        if not self._collector.ended:
            raise MalformedUploadError("The form ends before its last boundary.")
        return _Mark.FORM_ENDS


def _parameters(content_type: str) -> tuple[bytes, str]:
    """Return the boundary and the codec of a form."""
    _, parameters = read_parameters(content_type)
    boundary, codec = parameters.get("boundary", ""), codec_of_form(parameters.get("charset", UTF_8))
    if not boundary:
        raise MalformedUploadError(
            "The form can't be read: its Content-Type has no boundary. Let the client set this header by itself; one "
            "that is set by hand lacks it."
        )
    if len(boundary) > MAX_BOUNDARY or not boundary.isprintable():
        raise MalformedUploadError(
            f"The form can't be read: the boundary in its Content-Type has more than {MAX_BOUNDARY} characters, or "
            "some that can't be printed."
        )
    if codec is None:
        raise MalformedUploadError("The form's charset can't be read: leave it out, and send UTF-8.")
    return boundary.encode("latin-1"), codec


class _Collector:
    """Collects what the parser finds in one chunk of the body.

    The parser's callbacks can't wait, so whoever reads the form takes the events from here and waits between chunks.
    """

    def __init__(
        self, limits: FormLimits, codec: str, file_field: str | None, end: int | None, known: Collection[str]
    ) -> None:
        self.position = 0
        """Where the chunk begins that is read now."""
        self.events: deque[PartHead | bytes | _Mark] = deque()
        self.fields: dict[str, str] = {}
        self.ended = False
        self._limits, self._codec, self._file_field, self._end = limits, codec, file_field, end
        self._known = known
        self._start: int | None = None
        self._files = self._texts = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._name, self._value = bytearray(), bytearray()
        self._head: PartHead | None = None
        self._is_file = False
        self._pieces: list[bytes | memoryview] = []
        self._pieces_size = self._part_size = self._fields_size = 0

    @property
    def kept(self) -> int:
        """The bytes of the fields that were read so far."""
        return self._fields_size + (0 if self._is_file else self._pieces_size)

    # -- heads -------------------------------------------------------------------------------------

    def begin_part(self) -> None:
        self._headers, self._head, self._is_file, self._part_size = [], None, False, 0

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers.append((bytes(self._name).lower(), bytes(self._value)))
        self._name.clear()
        self._value.clear()

    def end_headers(self) -> None:
        self._head = head = read_head(self._headers, self._codec)
        self._is_file = bool(head.filename) and (head.name == self._file_field or head.name not in self._known)
        if self._is_file:
            self._begin_file(head)
        else:
            if head.filename:
                head.check_is_text()
            self._begin_text()

    def _begin_file(self, head: PartHead) -> None:
        self._files += 1
        if self._files > self._limits.files:
            found_in = None if self._file_field in {None, head.name} else head.name
            raise TooManyFilesError(
                limit=self._limits.files, actual=self._files, field=self._file_field, found_in=found_in
            )
        self._start = None
        self.events.append(head)

    def _begin_text(self) -> None:
        self._texts += 1
        if self._texts > self._limits.fields:
            raise MalformedUploadError(f"The form has too many fields; the limit is {self._limits.fields}.")

    # -- bytes -------------------------------------------------------------------------------------

    def add_data(self, data: bytes, start: int, end: int) -> None:
        head = self._head
        self._part_size += end - start
        if self._is_file and self._start is None:
            self._start = self.position + start
        self._check_size(head)
        # A view, so that a byte is copied once: when pieces are joined.
        self._pieces.append(data if end - start == len(data) else memoryview(data)[start:end])
        self._pieces_size += end - start
        if self._is_file and self._is_enough():
            self.events.append(self._joined())

    def _is_enough(self) -> bool:
        return self._pieces_size >= WORTHWHILE or len(self._pieces) >= MAX_PIECES

    @property
    def left(self) -> int | None:
        """The bytes from the beginning of a file to the last boundary."""
        if self._end is None:
            return None
        return max(self._end - (self.position if self._start is None else self._start), 0)

    def _check_size(self, head: PartHead | None) -> None:
        limit = self._limits.file_size if self._is_file else self._limits.field_size
        if self._part_size <= limit:
            return
        if head is not None and head.filename is None and head.name == self._file_field:
            raise MissingFileError(head.name, has_text=True)
        if self._is_file:
            actual = self.left if self._limits.files == 1 else None
            raise UploadTooLargeError("file", limit=limit, actual=actual, is_about=True)
        raise UploadTooLargeError(f"field {head.name!r}" if head else "field", limit=limit)

    def _joined(self) -> bytes:
        joined = b"".join(self._pieces)
        self._pieces, self._pieces_size = [], 0
        return joined

    def end_part(self) -> None:
        data, head = self._joined(), self._head
        if head is None:
            raise MalformedUploadError("The form can't be read: a part has no head.")
        if self._is_file:
            self.events.extend([data, _Mark.FILE_ENDS] if data else [_Mark.FILE_ENDS])
        elif head.filename != "":
            self._add_field(head.name, head.text_of(data, self._codec))
        elif data:  # without bytes it is a browser's file input without a choice
            raise MalformedUploadError(f"The file in the field {head.name!r} has no name: send it with a filename.")

    def _add_field(self, name: str, value: str) -> None:
        if name == CHARSET_FIELD:
            self._set_charset(value)
            return
        if name in self.fields:
            raise InvalidFieldsError([{"loc": (name,), "msg": "The field is sent twice", "type": "duplicate"}])
        refuse_chunk(name, value, self._known)
        self.fields[name] = value
        self._fields_size += sys.getsizeof(name) + sys.getsizeof(value)

    def _set_charset(self, label: str) -> None:
        codec = codec_of_form(label)
        if codec is None:
            raise MalformedUploadError(f"The form is in the charset {label!r}, which can't be read: send UTF-8.")
        self._codec = codec

    def end(self) -> None:
        self.ended = True
