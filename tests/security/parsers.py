"""Whatever reads a client's text, as functions of that text alone: what has no cap here is not capped anywhere."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import Request

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.intake import digests as client_digests
from fastapi_filestore.intake import disposition, folders, nameless, names, upload
from fastapi_filestore.intake import header_parameters as charsets
from fastapi_filestore.intake import header_parameters as parameters
from fastapi_filestore.intake import header_parameters as spelling
from fastapi_filestore.intake.forms import chunks, limits, multipart, part_head, preamble
from fastapi_filestore.intake.forms import limits as json_shape
from fastapi_filestore.intake.types import media_types, sniffing, type_agreement
from fastapi_filestore.service import pages
from fastapi_filestore.storage import paths as keys
from fastapi_filestore.storage import signing
from fastapi_filestore.web import header_fields as fields
from fastapi_filestore.web import paths as redaction
from fastapi_filestore.web import quoting, tus_fields
from fastapi_filestore.web.receiving import form_fields, uploads, urlencoded
from fastapi_filestore.web.receiving import form_fields as validation
from fastapi_filestore.web.routes import schemas, tus
from fastapi_filestore.web.serving import conditions, ranges, zip_names

Parser = Callable[[str], object]
STATE = conditions.Validators('"a"', datetime.now(UTC), '"b"')
SIGNER = signing.UrlSigner([f"a-signing-key-that-is-long-enough-{number}" for number in range(2)], "/")
CURSOR = pages._Cursor([str, int])  # noqa: SLF001 - what a list makes of one
ENDLESS = limits.FormLimits(file_size=2**40, fields=2**40, field_size=2**40)
NO_JSON_LIMITS = replace(ENDLESS, field_size=1, json_values=2**40, json_depth=2**40)

CAPS = [
    (parameters, "MAX_HEADER_BYTES"),
    (preamble, "MAX_PREAMBLE"),
    (names, "MAX_MEDIA_TYPE"),
    (conditions, "MAX_DATE"),
    (ranges, "MAX_HEADER"),
    (fields, "MAX_FIELD_BYTES"),
    (tus_fields, "LONGEST"),
]
"""What keeps a text from its parser; lifted, so that it hides nothing."""


def headers(*named: tuple[str, str]) -> Headers:
    """Return the headers of a request."""
    return Headers(raw=[(name.encode(), value.encode("latin-1", "replace")) for name, value in named])


def latin(text: str) -> str:
    """Return a text as a header has it: each byte a character."""
    return text.encode().decode("latin-1")


def finished(work: Coroutine[Any, Any, Any]) -> object:
    """Run a coroutine that waits for nothing."""
    with suppress(StopIteration):
        work.send(None)
    return None


async def aiter_of(chunks: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield chunks."""
    for chunk in chunks:
        yield chunk


async def _form(body: bytes) -> None:
    reader = multipart.FormReader(aiter_of([body]), content_type="multipart/form-data; boundary=b", limits=ENDLESS)
    while await reader.next_file() is not None:
        pass


class Titled(BaseModel):
    """Fields of a form."""

    title: str


class _Chosen:
    def __init__(self, text: str) -> None:
        self.filename, self.size, self.headers = "", 0, {"content-disposition": text}


UPLOADS = Request(
    {"type": "http", "method": "POST", "path": "/uploads", "query_string": b"", "headers": [], "server": ("a", 80)}
)
"""Where uploads begin."""


def in_field(name: str) -> Parser:
    """Return what reads all fields that are joined, one of them being a text, in many lines, too."""

    def read(text: str) -> object:
        said = fields.joined_fields(headers((name, text), *[(name, part) for part in text.split(",")]))
        conditions.evaluate(said, STATE)
        conditions.range_applies(said, STATE)
        with suppress(FilestoreError):
            client_digests.client_digests(said)
        uploads.refuse_fragments(said)
        return said

    return read


PARSERS: Mapping[str, tuple[Parser, tuple[str, ...]]] = {
    "intake.types.type_agreement.types_agree": (
        lambda text: type_agreement.types_agree(text, "text/plain", text),
        ("image/png",),
    ),
    "intake.types.type_agreement.ranged_type": (
        lambda text: type_agreement.ranged_type("image/x-own", text),
        ("image/png",),
    ),
    "intake.upload.chosen_content": (lambda text: upload.chosen_content(_Chosen(text)), ("form-data; name=a",)),
    "intake.forms.chunks.chunk_error": (chunks.chunk_error, ()),
    "intake.forms.chunks.refuse_chunk": (lambda text: chunks.refuse_chunk("chunks", text), ("1",)),
    "intake.digests.client_digests": (
        lambda text: client_digests.client_digests({"content-digest": text}),
        ("sha-256=:", "sha-256=:AAAA:", "sha-256=:AAAA:;"),
    ),
    "intake.disposition.content_disposition": (lambda text: disposition.content_disposition(text, inline=False), ()),
    "intake.disposition.disposition_of": (lambda text: disposition.disposition_of("a", text), ("text/plain",)),
    "intake.disposition.served_type": (disposition.served_type, ("text/plain", "text/plain;")),
    "intake.types.sniffing.marked_text": (lambda text: sniffing.marked_text(text.encode()), ()),
    "intake.types.sniffing.sniff_markup": (
        lambda text: sniffing.sniff_markup(text.encode()),
        ("<", "<!", "<!a>", "<!--", "<?", "<a:", "<svg", "<!a["),
    ),
    "intake.types.media_types.canonical_type": (media_types.canonical_type, ("text/plain",)),
    "intake.types.media_types.check_ranges": (lambda text: media_types.check_ranges([text]), ("text/",)),
    "intake.types.media_types.essence": (media_types.essence, ("text/plain",)),
    "intake.types.media_types.is_same": (lambda text: media_types.is_same(text, f"{text};a"), ("text/plain;",)),
    "intake.types.media_types.is_within": (lambda text: media_types.is_within(text, ["image/*"]), ("text/plain",)),
    "intake.types.media_types.likely_type": (lambda text: media_types.likely_type(text, text, None), ("text/plain",)),
    "intake.types.media_types.is_unspecific": (media_types.is_unspecific, ("text/plain",)),
    "intake.forms.multipart.FormReader": (
        lambda text: finished(_form(text.encode())),
        ("--b\r\n", "--b\r\nContent-Disposition: form-data; name=a", "--b\r\nContent-Disposition: form-data\r\n\r\n"),
    ),
    "intake.forms.multipart.FormReader of a type": (
        lambda text: multipart.FormReader(aiter_of(()), content_type=text, limits=ENDLESS),
        ("multipart/form-data; boundary=b",),
    ),
    "intake.nameless.name_of_body": (
        lambda text: nameless.name_of_body(text, nameless.Replaced(text, text)),
        ("a", "a/", "a/b;", "a/b; a="),
    ),
    "intake.names.guess_extension": (names.guess_extension, ("a", "a/")),
    "intake.names.guess_content_type": (names.guess_content_type, ("a.", "a.tgz.")),
    "intake.names.is_media_type": (names.is_media_type, ("text/plain", "text/plain;")),
    "intake.names.safe_filename": (names.safe_filename, ("a", "a.")),
    "intake.folders.safe_folder": (folders.safe_folder, ("a/", "../", "a/../")),
    "intake.folders.folder_of": (lambda path: folders.folder_of(path, {"relativePath": path}), ("a/", "C:")),
    "web.serving.zip_names.safe_part": (zip_names.safe_part, ("a", "CON", "CON.")),
    "web.serving.zip_names.safe_part of a path": (lambda path: zip_names.ZipNames().choose(path), ("a", "a/")),
    "intake.header_parameters.as_text": (lambda text: charsets.as_text(text.encode("latin-1", "replace")), ()),
    "intake.header_parameters.codec_of": (charsets.codec_of, ("utf",)),
    "intake.header_parameters.codec_of_form": (charsets.codec_of_form, ("utf",)),
    "intake.forms.part_head.read_head": (
        lambda text: part_head.read_head([(b"content-disposition", text.encode()), (b"content-type", text.encode())]),
        ("form-data; name=a", 'form-data; name="'),
    ),
    "intake.header_parameters.read_parameters": (
        lambda text: parameters.read_parameters(text, single_quotes=True),
        ("a; b=c", 'a; b="', "a; b", "a; b=", "a;", "a; b='", "a; b*0*=", "a; b*1=c; b*0=d; b*"),
    ),
    "intake.forms.part_head.PartHead": (
        lambda text: part_head.PartHead("a", None, text, "base64").text_of(text.encode(), "utf_8"),
        ("text/plain; charset=",),
    ),
    "intake.forms.preamble.Preamble": (lambda text: preamble.Preamble(b"b").pass_over(text.encode()), ("--", "\r\n--")),
    "intake.header_parameters.extended_name": (spelling.extended_name, ("utf-8''", "utf-8'a'%c3")),
    "intake.header_parameters.plain_name": (
        lambda text: spelling.plain_name(latin(text), quoted=True),
        ("=?utf-8?B?", "=?utf-8?Q?", "=?utf-8?Q?a?= ", "%C3%A4"),
    ),
    "intake.header_parameters.read_name": (
        lambda text: spelling.read_name({"name": latin(text), "name*": f"utf-8''{text}"}, "name"),
        ("a.", "=?utf-8?B?"),
    ),
    "intake.types.sniffing.is_written_pdf": (
        lambda text: sniffing.is_written_pdf(text.encode()),
        ("%PDF-1.4", "\n", "@PJL", "\x1b"),
    ),
    "intake.types.sniffing.sniff_container": (
        lambda text: sniffing.sniff_container(text.encode()),
        ("\0\0\0 ftyp",),
    ),
    "intake.types.sniffing.sniff_other": (
        lambda text: sniffing.sniff_other(text.encode()),
        ("%PDF-1.4", "%PDF-1.4 1 0 ob", "%PDF-", "#!", "\0\0\2\0", "1 0 obj"),
    ),
    "intake.types.sniffing.sniff": (lambda text: sniffing.sniff(text.encode()), ("<", "PK\x03\x04", "%PDF-", "{\\rtf")),
    "service.pages.cursor": (CURSOR.decode, ("WyJh",)),
    "intake.forms.limits.check_shape": (
        lambda text: json_shape.check_shape(text.encode(), NO_JSON_LIMITS),
        ('"', '{"a":"', '{"a":[', "[" * 100),
    ),
    "storage.paths.check_path": (keys.check_path, ("aa/",)),
    "storage.signing.verify": (lambda text: SIGNER.verify(text, method="GET"), ("a.",)),
    "web.header_fields.announced_size": (lambda text: fields.announced_size({"content-length": text}), ("1",)),
    "web.header_fields.has_body": (
        lambda text: fields.has_body({"http_version": "1.1", "headers": [(b"a", b"")] * len(text)}),
        (),
    ),
    "web.header_fields.is_json": (fields.is_json, ("application/a+",)),
    "web.header_fields.media_type": (lambda text: fields.media_type({"content-type": text}), ("text/plain",)),
    "web.header_fields.refuse_codings": (
        lambda text: fields.refuse_codings({"content-encoding": text}),
        ("identity",),
    ),
    "web.serving.conditions.evaluate": (
        lambda text: [conditions.evaluate({name: text}, STATE) for name in ("if-match", "if-none-match")],
        ("W/", '"a"', '"'),
    ),
    "web.serving.conditions.evaluate dates": (
        lambda text: [conditions.evaluate({f"if-{name}": text}, STATE) for name in ("modified-since",)],
        ("Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 "),
    ),
    "web.serving.conditions.range_applies": (
        lambda text: conditions.range_applies({"if-range": text}, STATE),
        ('"a"',),
    ),
    "web.receiving.form_fields.is_json_object": (form_fields.is_json_object, ("{", '{"a":', '{"a":"', '{"a":[')),
    "web.receiving.form_fields.without_unknown": (
        lambda text: form_fields.without_unknown(Titled, dict.fromkeys(text.split(";"), ""), "ignore", refused=()),
        (),
    ),
    "web.header_fields.joined_fields": (in_field("if-match"), ('"a"',)),
    "web.header_fields.joined_fields digests": (in_field("repr-digest"), ("sha-256=:",)),
    "web.quoting.cut": (lambda text: quoting.cut(text, 10), ()),
    "web.receiving.form_fields.validate_form": (lambda text: validation.validate_form(Titled, {text: text}), ()),
    "web.receiving.form_fields.validate_json": (
        lambda text: validation.validate_json(schemas.NoFields, text.encode(), limits=NO_JSON_LIMITS),
        ('"', '{"a":"', '{"a":[', '{"a":1,'),
    ),
    "web.serving.ranges.requested_ranges": (
        lambda text: ranges.requested_ranges(text, 100),
        ("bytes=", "bytes=0-", "bytes=0"),
    ),
    "web.paths.without_token": (redaction.without_token, ("/filestore/",)),
    "web.paths.without_any_token": (redaction.without_any_token, ("/filestore/", "%25", "sig%3d", "%2525sig=")),
    "web.receiving.uploads.name_in_disposition": (
        uploads.name_in_disposition,
        ("a; filename*=utf-8'", "a; filename*=utf-8''", 'a; filename="'),
    ),
    "web.receiving.urlencoded.read_urlencoded": (
        lambda text: urlencoded.read_urlencoded(text.encode(), ENDLESS),
        ("a=", "a=%", "a=1&"),
    ),
    "web.routes.tus.part_named": (
        lambda text: tus.part_named(UPLOADS, text),
        ("/uploads/", "//a/", "//[", "https://a/", "/a/..", "%41"),
    ),
    "web.tus_fields.read_checksum": (tus_fields.read_checksum, ("sha1 ", "sha1 AAAA")),
    "web.tus_fields.read_creation": (
        lambda text: tus_fields.read_creation({"upload-length": text, "upload-concat": f"final;{text}"}),
        ("1", "/a "),
    ),
    "web.tus_fields.read_creation of a length": (
        lambda text: tus_fields.read_creation({"upload-length": text, "upload-metadata": text}),
        ("1",),
    ),
    "web.tus_fields.read_metadata": (tus_fields.read_metadata, ("a YQ==,b ", "a YQ==,", "a ")),
    "web.tus_fields.read_length": (tus_fields.read_length, ("1", "0")),
    "web.tus_fields.read_number": (lambda text: tus_fields.read_number("Upload-Offset", text), ("1",)),
    "web.tus_fields.text_of": (lambda text: tus_fields.text_of({"a": text.encode()}, "a"), ()),
    "web.receiving.uploads.refuse_fragments": (lambda text: uploads.refuse_fragments({"content-encoding": text}), ()),
}
"""Every reader of a client's text by its place, and beginnings behind which it goes further."""
