"""Read the head of a form's part (RFC 7578): which field it is, and whether it is a file."""

import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fastapi_filestore.errors import FilePlace, InvalidFieldsError, MalformedUploadError
from fastapi_filestore.intake.header_parameters import UTF_8, as_text, codec_of, read_name, read_parameters
from fastapi_filestore.intake.types.media_types import canonical_type, is_unspecific
from fastapi_filestore.intake.types.sniffing import TEXT
from fastapi_filestore.intake.types.special_cases import is_case_of

_ABOUT_CONTENT = (b"content-disposition", b"content-type", b"content-transfer-encoding")
_KINDS = frozenset({"form-data", "multipart/form-data"})
_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "base64": lambda text: binascii.a2b_base64(b"".join(text.split()), strict_mode=True),
    "quoted-printable": binascii.a2b_qp,
}
_OTHER_ENCODINGS = frozenset({"uuencode", "x-uu", "x-uue", "x-uuencode", "gzip", "x-gzip"})
"""What changes the bytes of a part, too; whatever else is said of them, `8bit`, `8-bit` or `binary`, does not."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part's field; `filename` is None for text and empty for a file input without a choice.

    `place` is which of the form's files it is, where the form takes several.
    """

    name: str
    filename: str | None
    content_type: str | None
    encoding: str = ""
    place: FilePlace | None = None

    def check_is_text(self) -> None:
        """Raise `InvalidFieldsError` for what is declared as anything but text: a file where text is taken."""
        declared = self.content_type
        if declared is not None and not is_unspecific(declared) and not is_case_of(canonical_type(declared), TEXT):
            raise self._no_text()

    def text_of(self, content: bytes, codec: str) -> str:
        """Return the text of a field, whose form is in this codec.

        Some libraries, such as Delphi's Indy, encode what is not ASCII; browsers send a `Blob` of text as a file.

        Raises:
            MalformedUploadError: It is not encoded as the part says, or in a charset that can't be read.
            InvalidFieldsError: It has a filename, and is no text.
        """
        try:
            data = _DECODERS[self.encoding](content) if self.encoding in _DECODERS else content
        except binascii.Error:
            raise MalformedUploadError(
                f"The form can't be read: its part {self.name!r} is no {self.encoding}."
            ) from None
        if not data.isascii() and (charset := self.charset) is not None:
            own = codec_of(charset)
            if own is None:
                raise MalformedUploadError(
                    f"The field {self.name!r} is in the charset {charset!r}, which can't be read: send UTF-8."
                )
            return as_text(data, own)
        if self.filename is None:
            return as_text(data, codec)
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            raise self._no_text() from None

    def _no_text(self) -> InvalidFieldsError:
        message = (
            f"A file came here (filename={self.filename!r}, Content-Type: {self.content_type}), where text is taken: "
            "send text, or leave it out"
        )
        return InvalidFieldsError([{"loc": (self.name,), "msg": message, "type": "file_in_text_field"}])

    @property
    def charset(self) -> str | None:
        """The charset that a part of text says it is in."""
        try:
            return read_parameters(self.content_type or "")[1].get("charset")
        except MalformedUploadError:  # what says nothing that can be read says nothing of it
            return None


def read_head(headers: Iterable[tuple[bytes, bytes]], codec: str = UTF_8) -> PartHead:
    """Read the headers of a part, whose names are in lower case; raw names are in this codec.

    Raises:
        MalformedUploadError: The part names no field, says anything twice, or is encoded.
    """
    values = dict[bytes, bytes]()
    order = list[bytes]()
    for name, value in headers:
        if name in _ABOUT_CONTENT:
            if name in values:
                raise MalformedUploadError(f"The form can't be read: a part has two headers {name.decode('ascii')}.")
            order.append(name)
        values[name] = value
    kind, parameters = read_parameters(values.get(b"content-disposition", b"").decode("latin-1"), single_quotes=True)
    # So does aiohttp, which alone of those that percent-encode every name writes the type first.
    quoted = order[:2] == [b"content-type", b"content-disposition"]
    field = read_name(parameters, "name", codec=codec, quoted=quoted)
    if kind not in _KINDS or field is None:
        raise MalformedUploadError(
            "The form can't be read: a part has no Content-Disposition with the field's name, such as `form-data; "
            'name="file"; filename="a.txt"`.'
        )
    filename = read_name(parameters, "filename", codec=codec, quoted=quoted)
    encoding = values.get(b"content-transfer-encoding", b"").strip().lower().decode("latin-1")
    if encoding in _OTHER_ENCODINGS or (encoding in _DECODERS and filename is not None):
        raise MalformedUploadError(
            f"The form can't be read: the part {field!r} has the Content-Transfer-Encoding {encoding}; send plain "
            "bytes."
        )
    declared = values.get(b"content-type", b"").strip().decode("latin-1")
    if filename is None and declared.lower().startswith("multipart/"):  # RFC 7578, section 4.3
        raise MalformedUploadError(
            f"The form can't be read: its part {field!r} is a {declared.partition(';')[0]} of several files; send each "
            "in a part of its own."
        )
    return PartHead(field, filename, declared if b"content-type" in values else None, encoding)
