"""Send type, disposition and metadata in headers, encoded where headers can't hold them.

Plain metadata stays plain, so that other tools read it. A mapping with any key or value that some header, or this
store, would refuse, change or drop is put as a whole into one entry, `MARKER`, as base64url of JSON.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi_filestore.errors import ContentError, UnsupportedContentError
from fastapi_filestore.storage.backend import NO_METADATA
from fastapi_filestore.storage.obstore.opening.store_url import Kind

MARKER = "filestore_metadata"
DEFAULT_CONTENT_TYPE = "application/octet-stream"
"""Sent where none is known: some stores would otherwise guess one from the bytes."""

CONTENT_TYPE, CONTENT_DISPOSITION = "Content-Type", "Content-Disposition"
NOT_METADATA = frozenset(
    {"content-type", "content-disposition", "content-encoding", "content-language", "cache-control", "storage-class"}
)
"""Attributes that obstore tells from metadata by name alone."""

PLAIN_VALUE = re.compile(r"(?!=\?)[!-~]+(?: [!-~]+)*", re.ASCII)
"""Printable ASCII with single spaces inside, and not an RFC 2047 word: no signature and no proxy changes it."""

HEADER_VALUE = re.compile(r"[ -~]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class MetadataRules:
    """The rules of one kind of store for metadata: its plain keys, and its limit for keys and values in bytes."""

    plain_key: re.Pattern[str]
    limit: int | None


HEADER_RULES = MetadataRules(re.compile(r"[a-z][a-z0-9_-]*", re.ASCII), limit=2048)
"""S3's, whose limit is the smallest."""
GCS_RULES = MetadataRules(HEADER_RULES.plain_key, limit=8192)
AZURE_RULES = MetadataRules(re.compile(r"[a-z_][a-z0-9_]*", re.ASCII), limit=8192)
MEMORY_RULES = MetadataRules(HEADER_RULES.plain_key, limit=None)

RULES: Mapping[Kind, MetadataRules] = {"s3": HEADER_RULES, "gs": GCS_RULES, "az": AZURE_RULES, "memory": MEMORY_RULES}
"""A local folder is missing: it holds nothing but bytes."""


def attributes_for(
    kind: Kind,
    *,
    content_type: str | None = None,
    content_disposition: str | None = None,
    metadata: Mapping[str, str] = NO_METADATA,
) -> dict[str, str] | None:
    """Return what obstore is to send with an object; None to a store that holds nothing but bytes.

    Raises:
        ContentError: A header can't hold the content type or disposition, or the metadata is larger than the store
            takes. What holds nothing but bytes refuses the same, so that all stores take the same.
    """
    rules, attributes = RULES.get(kind, HEADER_RULES), dict[str, str]()
    if metadata:
        attributes = _encode(metadata, rules)
    attributes[CONTENT_TYPE] = check_header(CONTENT_TYPE, content_type or DEFAULT_CONTENT_TYPE)
    if content_disposition is not None:
        attributes[CONTENT_DISPOSITION] = check_header(CONTENT_DISPOSITION, content_disposition)
    return attributes if kind in RULES else None


def read_metadata(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Return the metadata among an object's attributes, decoded."""
    metadata = {key: value for key, value in attributes.items() if key.lower() not in NOT_METADATA}
    if MARKER in metadata:
        # Another tool may have written something else there: that is its metadata, not ours.
        try:
            decoded = json.loads(base64.urlsafe_b64decode(metadata[MARKER]).decode(errors="surrogatepass"))
        except ValueError:
            return metadata
        is_ours = isinstance(decoded, dict) and all(isinstance(text, str) for text in decoded.values())
        return decoded if is_ours else metadata
    return metadata or NO_METADATA


def _encode(metadata: Mapping[str, str], rules: MetadataRules) -> dict[str, str]:
    is_plain = True
    for key, value in metadata.items():
        if not all(isinstance(text, str) for text in (key, value)):
            raise UnsupportedContentError(f"Metadata maps text to text, but {key!r} is a {type(value).__name__}.")
        is_reserved = key == MARKER or key in NOT_METADATA
        is_plain &= bool(not is_reserved and rules.plain_key.fullmatch(key) and PLAIN_VALUE.fullmatch(value))
    encoded = dict(metadata)
    if not is_plain:
        text = json.dumps(encoded, ensure_ascii=False, separators=(",", ":"))
        # Lone surrogates, as in a file name that is not UTF-8, must come back as they were.
        encoded = {MARKER: base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).decode()}
    size = sum(len(key) + len(value) for key, value in encoded.items())
    if rules.limit is not None and size > rules.limit:
        raise ContentError(
            f"The metadata has {size:,} bytes as the store would hold it; its limit is {rules.limit:,}. "
            "Keep large values in the database."
        )
    return encoded


def check_header(name: str, value: str) -> str:
    """Return a header's value, or raise if no header can hold it."""
    if not HEADER_VALUE.fullmatch(value):
        raise ContentError(f"The {name} {value!a} can't be sent in a header: use printable ASCII.")
    return value
