"""Describe what of a request FastAPI does not read: fields of its head, and the order of a list."""

from collections.abc import Mapping, Sequence

from fastapi_filestore.web.routes.openapi.problems import Description

_HEADERS = {
    "Content-Digest": "What the body must have, as `sha-256=:…:` with base64 (RFC 9530), or it is refused.",
    "If-Match": "Do it only if the file's entity tag is among these, or there is one at all: `*`.",
    "If-None-Match": "Do it only if the file's entity tag is none of these.",
    "If-Modified-Since": "Send it only if it was stored later.",
    "If-Unmodified-Since": "Do it only if it was not stored later.",
    "If-Range": "Honour the range only if this is the file's entity tag, or when it was stored.",
    "Range": "The bytes that are wanted, as `bytes=0-1023` (RFC 9110, section 14.2).",
}


_OF_ROWS = {
    "If-Match": "Do it only if there is such a row: `*`. It has no entity tag, so any other is refused.",
    "If-None-Match": "With `*` it is refused, as there is such a row. With entity tags it is done, as it has none.",
}


def header_parameters(*names: str, texts: Mapping[str, str] = _HEADERS) -> Description:
    """Describe header fields that are read by hand."""
    return {
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
            for name, text in texts.items()
            if name in names
        ]
    }


OF_DOWNLOADS: Description = header_parameters(*_HEADERS.keys() - {"Content-Digest"})
OF_CHANGES: Description = header_parameters("If-Match", "If-None-Match", "If-Unmodified-Since")
OF_ROW_CHANGES: Description = header_parameters(*_OF_ROWS, texts=_OF_ROWS)
OF_UPLOADS: Description = header_parameters("Content-Digest")
OF_REPLACEMENTS: Description = header_parameters("Content-Digest", "If-Match", "If-None-Match", "If-Unmodified-Since")


def sort_parameter(sortable: Sequence[str]) -> Description:
    """Describe the columns that a listing may be sorted by, with commas between them, which FastAPI can't say."""
    values = [f"{sign}{name}" for name in sortable for sign in ("", "-")]
    return {
        "parameters": [
            {
                "name": "sort",
                "in": "query",
                "description": "Columns to sort by, `-` before one for descending.",
                "explode": False,
                "schema": {"type": "array", "items": {"type": "string", "enum": values}, "title": "Sort"},
            }
        ]
    }
