"""What a column may take and a driver never gives back, or only at a price: refused before it is written.

One such value makes a row unreadable for everybody, and with it the list that the row is on.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Final, cast

MOST_DIGITS: Final = 1000
"""Of a number where its column sets no limit: as many as PostgreSQL lets a column declare. 1e131071 is nine bytes on
its way in, and 131 KB on every way out."""
MOST_DIGITS_IN_A_LIST: Final = 100
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - on the clock of any time zone
"""Two days from the ends of the calendar: a database shifts a time into its own time zone, and no time of Python's is
beyond the ends."""


def check_storable(value: object) -> object:
    """Return a value that a database gives back as it took it, and JSON can show; raise `ValueError` if it may not."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("NaN, Infinity and what is too large for a float are no numbers of JSON")
    if isinstance(value, datetime) and value.tzinfo is not None and not FIRST <= value.replace(tzinfo=None) <= LAST:
        raise ValueError("A time with a time zone must be two days away from the ends of the years 1 to 9999")
    if isinstance(value, Mapping):
        _check_each(cast("Mapping[object, object]", value).values())
    elif isinstance(value, list | tuple | set | frozenset):
        _check_each(cast("Iterable[object]", value))
    return value


def _check_each(values: Iterable[object]) -> None:
    for value in values:
        if isinstance(value, Decimal) and _digits(value) > MOST_DIGITS_IN_A_LIST:
            raise ValueError(f"A number in a list may have {MOST_DIGITS_IN_A_LIST} digits")
        check_storable(value)


def _digits(value: Decimal) -> int:
    _, digits, exponent = value.as_tuple()
    return len(digits) + abs(exponent) if isinstance(exponent, int) else 0
