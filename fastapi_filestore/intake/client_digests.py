"""Digests that a client sends along with a body: RFC 9530's fields and the older Content-MD5."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping

from fastapi_filestore.errors import MalformedUploadError

FIELDS = ("content-digest", "repr-digest")
"""A body that is stored as it comes is content and representation at once (RFC 9530, sections 2 and 3)."""

ALGORITHMS: Mapping[str, tuple[str, int]] = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}
"""The ones that RFC 9530 calls active, by hashlib's name and size in bytes; the others are ignored, as it says."""

MD5_SIZE = 16

# A dictionary of byte sequences, perhaps with parameters (RFC 8941, sections 3.2 and 3.3.5).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*|\s*)(?:,|\Z)")


def client_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return the digests that a body must have, by hashlib's name.

    Raises:
        MalformedUploadError: A field can't be read, or two contradict each other.
    """
    digests: dict[str, bytes] = {}
    for field in FIELDS:
        for algorithm, encoded in _members(field, headers.get(field, "")):
            if algorithm in ALGORITHMS:
                name, size = ALGORITHMS[algorithm]
                _add(digests, name, _decoded(field, encoded, size))
    if (md5 := headers.get("content-md5")) is not None:
        _add(digests, "md5", _decoded("content-md5", md5.strip(), MD5_SIZE))
    return digests


def _members(field: str, header: str) -> list[tuple[str, str]]:
    members, at = [], 0
    while at < len(header):
        match = _MEMBER.match(header, at)
        if match is None:
            raise MalformedUploadError(f"The header {field} can't be read: write it like sha-256=:base64:.")
        members.append((match[1], match[2]))
        at = match.end()
    return members


def _decoded(field: str, encoded: str, size: int) -> bytes:
    try:
        digest = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != size:
        raise MalformedUploadError(f"The header {field} can't be read: {encoded[:100]!r} is no digest of {size} bytes.")
    return digest


def _add(digests: dict[str, bytes], name: str, digest: bytes) -> None:
    if digests.setdefault(name, digest) != digest:
        raise MalformedUploadError(f"The request has two {name} digests that contradict each other.")
