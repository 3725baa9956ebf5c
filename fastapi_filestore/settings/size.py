"""Read sizes as people write them: `2 GiB`, `50MB`, `1048576`."""

import re
from fractions import Fraction

from fastapi_filestore.errors import ConfigurationError

SIZE_REMEDY = "use a number of bytes, or one with a unit such as 50 MB (decimal) or 2 GiB (binary)"

_LETTERS = "kmgtp"
_UNITS = (
    {"b": 1}
    | {f"{letter}b": 1000**power for power, letter in enumerate(_LETTERS, start=1)}
    | {f"{letter}ib": 1024**power for power, letter in enumerate(_LETTERS, start=1)}
)
_BINARY_UNITS = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024}
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)", re.IGNORECASE)


def parse_size(size: str | int) -> int:
    """Return a size in bytes, rounded down.

    A bare `M` or `G` is refused: half the world's tools mean 1000 by it, the other half 1024.

    Raises:
        ConfigurationError: It is negative, no number, or its unit is unknown.
    """
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    factor = _UNITS.get((match[2] or "b").lower()) if match else None
    if match is None or factor is None:
        raise ConfigurationError(f"{size!r} is not a size: {SIZE_REMEDY}.")
    return int(Fraction(match[1]) * factor)


def format_size(size: int) -> str:
    """Return bytes in the largest binary unit that says them exactly: `1 GiB`, `64 KiB`, `1000 B`."""
    for unit, factor in _BINARY_UNITS.items():
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"
