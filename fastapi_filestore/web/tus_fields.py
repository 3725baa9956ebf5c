"""Read and write the header fields of tus 1.0, the protocol of uploads that are resumed.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0; the sections that are meant are named beside.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from types import MappingProxyType
from typing import Final

from fastapi_filestore.errors import MalformedUploadError

VERSION: Final = "1.0.0"
EXTENSIONS: Final = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "termination",
    "expiration",
    "checksum",
    "concatenation",
)
"""What is understood beside the core; a trailer with a checksum can't be read under ASGI."""
ALGORITHMS: Mapping[str, int] = MappingProxyType({"sha1": 20, "sha256": 32, "md5": 16})
"""Those of Upload-Checksum, with the bytes of their digests."""
CONTENT_TYPE: Final = "application/offset+octet-stream"
LARGEST: Final = 2**63 - 1

REQUEST_FIELDS: Final = (
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Defer-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Checksum",
    "Upload-Concat",
    "X-HTTP-Method-Override",
    "X-Requested-With",
    "Content-Type",
)
"""Header fields that a page of another origin has to be allowed to send."""
RESPONSE_FIELDS: Final = (
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Length",
    "Upload-Defer-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Concat",
    "Upload-Expires",
    "Location",
)
"""Header fields that a page of another origin has to be allowed to read."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_DIGITS = re.compile(r"[0-9]{1,40}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
PARTIAL: Final = "partial"
_FINAL: Final = "final;"
LONGEST: Final = 8192
"""Characters of a field; servers have limits of their own for all together."""


@dataclass(frozen=True, slots=True)
class Creation:
    """What a POST says of the upload that it begins.

    Attributes:
        length: Bytes; None if the client says later how many.
        metadata: Upload-Metadata as it was received, and `fields` what it means.
        concat: Upload-Concat as it was received; None if there is none.
        parts: The URLs of the uploads that it is made of, if it is a final one.
        sha256: The digest that the file is to have, in hexadecimal digits, if `fields` say so; a part has none.
    """

    length: int | None
    metadata: str
    fields: Mapping[str, bytes]
    concat: str | None
    parts: tuple[str, ...]
    sha256: str | None = None


def read_creation(headers: Mapping[str, str]) -> Creation:
    """Read the fields of a POST (sections Creation and Concatenation).

    Raises:
        MalformedUploadError: They contradict each other, or one can't be read.
    """
    length, defers = headers.get("upload-length"), headers.get("upload-defer-length")
    concat, metadata = headers.get("upload-concat"), headers.get("upload-metadata", "")
    parts = tuple(concat.removeprefix(_FINAL).split()) if concat is not None and concat.startswith(_FINAL) else ()
    if concat not in {None, PARTIAL} and not parts:
        raise _malformed("Upload-Concat", "`partial`, or `final;` and the URLs of the parts")
    if parts:
        if length is not None or defers is not None:
            raise _malformed("Upload-Length", "nothing, since a final upload is as long as its parts")
    elif (length is None) == (defers is None):
        raise _malformed("Upload-Length", "the number of bytes, or else `Upload-Defer-Length: 1`")
    elif defers is not None and defers.strip() != "1":
        raise _malformed("Upload-Defer-Length", "1")
    fields = read_metadata(metadata)
    sha256 = text_of(fields, "sha256")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise _malformed("Upload-Metadata", "for sha256 the digest of the file in 64 hexadecimal digits, in base64")
    return Creation(
        None if length is None else read_length(length),
        metadata,
        fields,
        concat,
        parts,
        None if sha256 is None or concat == PARTIAL else sha256.lower(),
    )


def read_number(name: str, text: str) -> int:
    """Read a number of bytes; `MalformedUploadError` if it is none from 0 on."""
    number = int(text) if _NUMBER.fullmatch(text.strip()) else LARGEST + 1
    if number > LARGEST:
        raise _malformed(name, "a number of bytes, in decimal digits")
    return number


def read_length(text: str) -> int:
    """Read how long an upload is, also where that is more than any may have; `MalformedUploadError` if it is none."""
    if not _DIGITS.fullmatch(digits := text.strip()):
        raise _malformed("Upload-Length", "a number of bytes, in decimal digits")
    return int(digits)


def read_metadata(text: str) -> Mapping[str, bytes]:
    """Read the pairs of Upload-Metadata: `key base64,key base64`, a key without a value among them.

    Raises:
        MalformedUploadError: It is something else, or has a key twice.
    """
    if len(text) > LONGEST:
        raise _malformed("Upload-Metadata", f"at most {LONGEST:,} characters")
    fields = dict[str, bytes]()
    for pair in text.split(",") if text.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not key or key in fields or not key.isascii() or not key.isprintable():
            raise _malformed("Upload-Metadata", "pairs of a key, which comes once, and its value in base64")
        try:
            fields[key] = b64decode(value.strip(), validate=True)
        except ValueError:
            raise _malformed("Upload-Metadata", "values in base64") from None
    return fields


def text_of(fields: Mapping[str, bytes], *names: str) -> str | None:
    """Return the first of some values that is there, as text; clients don't agree on the names."""
    values = (fields[name].decode("utf-8", "replace") for name in names if name in fields)
    return next(filter(None, values), None)


def read_checksum(text: str) -> tuple[str, bytes]:
    """Read Upload-Checksum: hashlib's name of the algorithm, and the digest (section Checksum).

    Raises:
        MalformedUploadError: It is of another algorithm, or no digest of it.
    """
    algorithm, _, value = text.strip().partition(" ")
    try:
        digest = b64decode(value.strip(), validate=True)
    except ValueError:
        digest = b""
    if ALGORITHMS.get(algorithm.lower()) != len(digest):
        raise _malformed("Upload-Checksum", f"one of {', '.join(ALGORITHMS)}, a space, and the digest in base64")
    return algorithm.lower(), digest


def write_expires(moment: float) -> str:
    """Return the value of Upload-Expires for a moment in seconds since the epoch (RFC 9110, section 5.6.7)."""
    return formatdate(moment, usegmt=True)


def write_metadata(fields: Mapping[str, bytes]) -> str:
    """Return the value of Upload-Metadata for some pairs."""
    return ",".join(f"{key} {b64encode(value).decode()}".strip() for key, value in fields.items())


def _malformed(name: str, expected: str) -> MalformedUploadError:
    return MalformedUploadError(f"The header {name} can't be read: send {expected}.")
