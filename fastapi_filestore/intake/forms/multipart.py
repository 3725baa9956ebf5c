"""Read forms as they come in: fields are kept, files passed on, nothing ever written to a temporary file."""

import sys
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import replace
from enum import Enum
from logging import CRITICAL, Logger

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from fastapi_filestore.errors import (
    ContentConsumedError,
    FilePlace,
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    TooManyFilesError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.forms.chunks import CHUNK_COUNTS, refuse_chunk
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.part_head import PartHead, read_head
from fastapi_filestore.intake.forms.preamble import Preamble, missing_boundary
from fastapi_filestore.intake.header_parameters import MAX_HEADER_BYTES, UTF_8, codec_of_form, read_parameters
from fastapi_filestore.intake.names import safe_filename
from fastapi_filestore.storage.content import MAX_PIECES, WORTHWHILE
from fastapi_filestore.storage.share import Share

MAX_HEADERS = 16
"""Headers of one part; three mean something."""

MAX_BOUNDARY = 256
"""Characters of a boundary; RFC 2046, section 5.1.1, allows 70, and few characters but letters and digits."""

SILENT = Logger("python_multipart", CRITICAL)  # noqa: LOG001 - whose level no configuration changes
"""What the parser logs of a form that it can't read: nothing, for the client is told."""

CHARSET_FIELD = "_charset_"
"""The field in which a form says what charset it is in (RFC 7578, section 4.6), so it is none of its own."""

FOLDED_HEAD = (
    "The form can't be read: the head of a part has a header that is folded over several lines, or a space in the name "
    "of one. Send each header on a line of its own (RFC 9112, section 5.2)."
)


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
        lists: Collection[str] | None = None,
        known: Collection[str] = (),
        switches: Collection[str] = (),
    ) -> None:
        """Read a body of this content type and, if it is announced, this size; long fields are kept in this memory.

        A form that takes several files has `lists`, the fields that do so by themselves: then files, and errors of
        them, tell their place.

        A part of text in `file_field` that is longer than a field may be is told as what it is: a file without a name.
        Fields that are `known` are text, though browsers give a `Blob` of it a filename; they mean what their reader
        wants them to, and not that a file is one chunk of several. Of `switches` that are sent twice the last counts:
        Rails and ASP.NET send a hidden `false` before a checkbox, which alone would send nothing when it is off.

        Raises:
            MalformedUploadError: The type lacks a boundary, or has a charset that no form is in.
        """
        _, parameters = read_parameters(content_type)
        boundary = parameters.get("boundary", "")
        codec = codec_of_form(parameters["charset"]) if "charset" in parameters else UTF_8
        if not boundary:
            raise MalformedUploadError(
                "The form can't be read: its Content-Type has no boundary. Let the client set this header by itself; "
                "one that is set by hand lacks it."
            )
        if len(boundary) > MAX_BOUNDARY or not boundary.isprintable():
            raise MalformedUploadError(
                f"The form can't be read: the boundary in its Content-Type has more than {MAX_BOUNDARY} characters, or "
                "some that can't be printed."
            )
        if codec is None:
            raise MalformedUploadError("The form's charset can't be read: leave it out, and send UTF-8.")
        self._boundary = boundary.encode("latin-1")
        self._body, self._memory = body, memory
        self._turn = 0
        end = None if announced is None else announced - len(b"\r\n--" + self._boundary + b"--\r\n")
        self._collector = _Collector(limits, codec, file_field, end, lists=lists, known=known, switches=switches)
        self.fields = self._collector.fields
        self._preamble: Preamble | None = None
        self._parser: MultipartParser | None = None

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
        turn = self._turn

        async def read_chunks() -> AsyncGenerator[bytes, None]:
            while True:
                # What comes from here on is of another file, or nothing: neither may pass for the rest of this one.
                if turn != self._turn:
                    raise ContentConsumedError(
                        "This file of a form was passed over: store each file before you ask for the next one."
                    )
                event = await self._next()
                if not isinstance(event, bytes):
                    break
                yield event
            if is_last:
                await self.next_file()

        return read_chunks()

    async def _next(self) -> "PartHead | bytes | _Mark":
        collector = self._collector
        while not collector.events:
            chunk = await anext(self._body, None)
            if chunk is None:
                if self._parser is None:
                    raise missing_boundary()
                if not collector.ended:
                    raise MalformedUploadError("The form ends before its last boundary.")
                return _Mark.FORM_ENDS
            try:
                if self._parser is not None:
                    self._parser.write(chunk)
                else:
                    self._begin(chunk)
            except FormParserError as error:
                if str(error).startswith(("Found invalid character 32 in", "Found invalid character 9 in")):
                    raise MalformedUploadError(FOLDED_HEAD) from error
                raise MalformedUploadError(f"The form can't be read: {error}") from error
            collector.position += len(chunk)
            if self._memory is not None and collector.kept >= WORTHWHILE:
                await self._memory.keep(collector.kept)
        return collector.events.popleft()

    def _begin(self, chunk: bytes) -> None:
        """Parse from the first boundary on, which a form begins with unless it has a preamble; until then, nothing."""
        boundary = self._boundary
        if self._preamble or boundary.startswith(b"'") or not chunk.startswith(b"--" + boundary + b"\r\n"):
            preamble = self._preamble = self._preamble or Preamble(boundary)
            chunk = preamble.pass_over(chunk)
            if not preamble.is_over:
                return
            boundary = preamble.boundary
        collector = self._collector
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.begin_part,
                "on_header_field": collector.add_header_name,
                "on_header_value": collector.add_header_value,
                "on_header_end": collector.end_header,
                "on_headers_finished": collector.end_headers,
                "on_part_data": collector.add_data,
                "on_part_end": collector.end_part,
                "on_end": collector.end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        self._parser.logger = SILENT
        self._parser.write(chunk)


class _Collector:
    """Collects what the parser finds in one chunk of the body.

    The parser's callbacks can't wait, so whoever reads the form takes the events from here and waits between chunks.
    """

    def __init__(
        self,
        limits: FormLimits,
        codec: str,
        file_field: str | None,
        end: int | None,
        *,
        lists: Collection[str] | None,
        known: Collection[str],
        switches: Collection[str],
    ) -> None:
        self.position = 0
        """Where the chunk begins that is read now."""
        self.kept = 0
        """The bytes of the fields that were read so far."""
        self.events: deque[PartHead | bytes | _Mark] = deque()
        self.fields: dict[str, str] = {}
        self.ended = False
        self._limits, self._codec, self._file_field, self._end = limits, codec, file_field, end
        self._lists, self._known, self._switches = lists, known, switches
        self._start: int | None = None
        self._files = self._texts = 0
        self._files_of = Counter[str]()
        self._headers: list[tuple[bytes, bytes]] = []
        self._name, self._value = bytearray(), bytearray()
        self._head: PartHead | None = None
        self._is_file = False
        self._pieces: list[bytes | memoryview] = []
        self._pieces_size = self._part_size = 0

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
            self._files += 1
            if self._lists is not None:
                head = self._head = self._placed(head, self._lists)
            if self._files > self._limits.files:
                found_in = None if self._file_field in {None, head.name} else head.name
                raise TooManyFilesError(
                    limit=self._limits.files,
                    actual=self._files,
                    field=self._file_field,
                    found_in=found_in,
                    place=head.place,
                )
            self._start = None
            self.events.append(head)
            return
        if head.filename:
            head.check_is_text()
        self._texts += 1
        if self._texts > self._limits.fields:
            raise MalformedUploadError(f"The form has too many fields; the limit is {self._limits.fields}.")

    def _placed(self, head: PartHead, lists: Collection[str]) -> PartHead:
        """Return the head of a file with its place among those of a form that takes several."""
        self._files_of[head.name] += 1
        position = self._files_of[head.name] - 1 if head.name in lists else None
        return replace(head, place=FilePlace(head.name, safe_filename(head.filename or ""), position))

    # -- bytes -------------------------------------------------------------------------------------

    def add_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        self._part_size += size
        if self._is_file and self._start is None:
            self._start = self.position + start
        if self._part_size > (self._limits.file_size if self._is_file else self._limits.field_size):
            raise self._too_large()
        # A view, so that a byte is copied once: when pieces are joined.
        self._pieces.append(data if size == len(data) else memoryview(data)[start:end])
        self._pieces_size += size
        if not self._is_file:
            self.kept += size
        elif self._pieces_size >= WORTHWHILE or len(self._pieces) >= MAX_PIECES:
            self.events.append(self._join())

    @property
    def left(self) -> int | None:
        """The bytes from the beginning of a file to the last boundary."""
        if self._end is None:
            return None
        return max(self._end - (self.position if self._start is None else self._start), 0)

    def _too_large(self) -> MissingFileError | UploadTooLargeError:
        """Return the error of a part that is longer than it may be."""
        head = self._head
        if head is not None and head.filename is None and head.name == self._file_field:
            return MissingFileError(head.name, has_text=True)
        if self._is_file:
            actual = self.left if self._limits.files == 1 else None
            place = head.place if head else None
            return UploadTooLargeError("file", limit=self._limits.file_size, actual=actual, is_about=True, place=place)
        return UploadTooLargeError(f"field {head.name!r}" if head else "field", limit=self._limits.field_size)

    def _join(self) -> bytes:
        joined = b"".join(self._pieces)
        self._pieces, self._pieces_size = [], 0
        return joined

    def end_part(self) -> None:
        head, size = self._head, self._pieces_size
        data = self._join()
        if head is None:
            raise MalformedUploadError("The form can't be read: a part has no head.")
        if self._is_file:
            self.events.extend([data, _Mark.FILE_ENDS] if data else [_Mark.FILE_ENDS])
            return
        self.kept -= size
        if head.filename != "":
            self._add_field(head.name, head.text_of(data, self._codec))
        elif data:  # without bytes it is a browser's file input without a choice
            raise MalformedUploadError(f"The file in the field {head.name!r} has no name: send it with a filename.")

    def _add_field(self, name: str, value: str) -> None:
        if name == CHARSET_FIELD:
            codec = codec_of_form(value)
            if codec is None:
                raise MalformedUploadError(f"The form is in the charset {value!r}, which can't be read: send UTF-8.")
            self._codec = codec
            return
        if name in self.fields and name not in self._switches:
            raise InvalidFieldsError([{"loc": (name,), "msg": "The field is sent twice", "type": "duplicate"}])
        if name in CHUNK_COUNTS and name not in self._known:
            refuse_chunk(name, value)
        self.fields[name] = value
        self.kept += sys.getsizeof(name) + sys.getsizeof(value)

    def end(self) -> None:
        self.ended = True
