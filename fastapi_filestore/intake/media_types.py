"""Media types compared as RFC 9110, section 8.3 has it: without regard to case, parameters aside, nothing guessed."""

import re
from collections.abc import Iterable, Sequence

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.intake.names import guess_content_type, is_media_type

_RANGE = re.compile(r"(?:\*/\*|[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+))")


def essence(content_type: str) -> str:
    """Return a media type in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def known_type(declared: str | None, filename: str) -> str:
    """Return the type to keep for a file: the declared one if it is a media type, else what the name suggests."""
    return declared if declared and is_media_type(declared) else guess_content_type(filename)


def check_ranges(ranges: Iterable[str]) -> tuple[str, ...]:
    """Return media ranges such as `image/*` in lower case; `ConfigurationError` for what is none."""
    lowered = tuple(each.strip().lower() for each in ranges)
    for each in lowered:
        if not _RANGE.fullmatch(each):
            raise ConfigurationError(f"{each!r} is no media type: write it like 'application/pdf' or 'image/*'.")
    return lowered


def is_within(content_type: str, ranges: Sequence[str]) -> bool:
    """Tell whether a media type is one of the ranges, which are in lower case."""
    whole = essence(content_type)
    return any(each in {"*/*", whole, f"{whole.partition('/')[0]}/*"} for each in ranges)
