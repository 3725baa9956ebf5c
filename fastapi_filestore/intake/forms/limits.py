"""Limit how much a form and its JSON may hold, and how slowly they may come; the numbers are settings.

Whatever a parser has read of a text that turns out to be no JSON is counted here, too.
"""

from array import array
from dataclasses import dataclass, replace
from itertools import accumulate
from sys import maxsize
from typing import Self

from fastapi_filestore.errors import InvalidFieldsError

ENVELOPE_BYTES = 64 * 1024
"""Room for boundaries and part headers, beside the files and the fields."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The slowest that a body may come, by the time that it is waited for; 0 is no limit.

    Attributes:
        silence: Seconds without a byte.
        least_rate: Bytes a second, on average.
        over: Seconds that the average is taken over.
    """

    silence: float = 0.0
    least_rate: int = 0
    over: float = 1.0


@dataclass(frozen=True, slots=True)
class FormLimits:
    """The most that a form may hold: bytes of each file, fields beside them, bytes of each field, files; and its pace.

    JSON may hold so many bytes, values and levels; any number, unless the settings say so. A resumable upload is kept
    after every `segment` bytes of a request, if there is such a number.
    """

    file_size: int
    fields: int
    field_size: int
    files: int = 1
    json_size: int = maxsize
    json_values: int = maxsize
    json_depth: int = maxsize
    segment: int | None = None
    pace: Pace = Pace()

    def with_file_size(self, file_size: int | None) -> Self:
        """Return the limits of a place that has a file size of its own, if it has one."""
        return self if file_size is None else replace(self, file_size=file_size)

    @property
    def json_body_size(self) -> int:
        """The bytes of the largest body of JSON within the limits: one field, as large as it may be, always fits."""
        one_field = self.field_size + ENVELOPE_BYTES
        return min(self.fields * self.field_size + ENVELOPE_BYTES, max(self.json_size, one_field))

    @property
    def body_size(self) -> int:
        """The bytes of the largest body within the limits."""
        return self.files * self.file_size + self.fields * self.field_size + ENVELOPE_BYTES


_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""What each bracket does to the depth, as signed bytes."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


def check_shape(text: bytes, limits: FormLimits) -> None:
    """Raise `InvalidFieldsError` for JSON of more values than the limits have, or nested deeper, unparsed."""
    # Texts don't count. Escapes go first, so that every quote that is left begins a text or ends one.
    bare = b"".join(text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    openings = sum(bare.count(bracket) for bracket in (b"[", b"{"))
    # Each value but the first of a list or an object has a comma before it, and each of these a bracket.
    if bare.count(b",") + openings > limits.json_values:
        raise _refusal(f"The JSON has more than {limits.json_values:,} values", "too_many_values")
    if openings > limits.json_depth:
        depths = accumulate(array("b", bare.translate(_STEPS, _NO_BRACKETS)))
        if max(depths, default=0) > limits.json_depth:
            raise _refusal(f"The JSON is nested more than {limits.json_depth:,} levels deep", "too_deep")


def _refusal(message: str, kind: str) -> InvalidFieldsError:
    return InvalidFieldsError([{"loc": (), "msg": message, "type": kind}])
