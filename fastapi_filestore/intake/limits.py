"""How much a form may hold, and how slowly it may come."""

from dataclasses import dataclass, replace
from typing import Self

ENVELOPE_BYTES = 64 * 1024
"""Room for boundaries and part headers, beside the files and the fields."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come, by the time that it is waited for; 0 is no limit.

    Attributes:
        silence: Seconds without a byte.
        least_rate: Bytes a second, on average.
        over: Seconds that the average is taken over.
    """

    silence: float = 30.0
    least_rate: int = 1024
    over: float = 30.0


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much a form may hold: bytes of each file, fields beside them, bytes of each field, files; and its pace.

    JSON may hold so many bytes, values and levels.
    """

    file_size: int
    fields: int
    field_size: int
    files: int = 1
    json_size: int = 1024**2
    json_values: int = 10_000
    json_depth: int = 64
    pace: Pace = Pace()

    def narrowed(self, file_size: int | None) -> Self:
        """Return the limits of a place that has a file size of its own, if it has one."""
        return self if file_size is None else replace(self, file_size=file_size)

    @property
    def fields_size(self) -> int:
        """The bytes of the most and largest fields within the limits."""
        return self.fields * self.field_size + ENVELOPE_BYTES

    @property
    def json_body_size(self) -> int:
        """The bytes of the largest body of JSON within the limits: one field, as large as it may be, always fits."""
        return min(self.fields_size, max(self.json_size, self.field_size + ENVELOPE_BYTES))

    @property
    def body_size(self) -> int:
        """The bytes of the largest body within the limits."""
        return self.files * self.file_size + self.fields_size
