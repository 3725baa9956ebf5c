"""Pass over what stands before a form's first boundary (RFC 2046, section 5.1.1)."""

from fastapi_filestore.errors import MalformedUploadError

MAX_PREAMBLE = 8 * 1024
"""Bytes before the first boundary; a form of a browser has none."""

MAX_PADDING = 64
"""Spaces and tabs at the end of the boundary's line; nobody means to send any."""

_NEWLINES = b"\r\n"


def missing_boundary() -> MalformedUploadError:
    """Return the error of a form in which there is no boundary."""
    return MalformedUploadError(
        "The form can't be read: it does not begin with two hyphens and the boundary that its Content-Type names."
    )


class Preamble:
    """Finds the first line of a form that is its boundary.

    Attributes:
        boundary: The one that is declared; without its single quotes if the form begins so, whose writer took them for
            quotes.
        is_over: Whether it was found.
    """

    def __init__(self, boundary: bytes) -> None:
        self.boundary, self.is_over = boundary, False
        self._line = b"--" + boundary
        self._held = bytearray()
        self._looked_at = 0

    def pass_over(self, chunk: bytes) -> bytes:
        """Return the bytes from the first boundary on, once; nothing until it is there.

        Raises:
            MalformedUploadError: There is none in the first bytes, or its line ends as no form's does.
        """
        held = self._held or chunk
        if self._held:
            self._held += chunk
        bare = self.boundary[1:-1]
        is_quoted = bare and self.boundary == b"'" + bare + b"'"
        if is_quoted and held.startswith(b"--" + bare, 2 if held.startswith(_NEWLINES) else 0):
            self.boundary, self._line = bare, b"--" + bare
        last = MAX_PREAMBLE + len(self._line)
        start = held.find(self._line, self._looked_at, last)
        if start > 0 and held[start - 1] not in _NEWLINES:  # or a part that is not where it should be would be lost
            raise missing_boundary()
        self._looked_at = start if start >= 0 else max(0, min(len(held), last) - len(self._line) + 1)
        after = start + len(self._line)
        padded = bytes(held[after : after + MAX_PADDING])
        if start >= 0 and ((rest := padded.lstrip(b" \t")) or len(padded) == MAX_PADDING):
            if rest.startswith(b"\n"):
                raise MalformedUploadError("The form can't be read: its lines end with LF alone, and not with CR LF.")
            self.is_over, padding = True, len(padded) - len(rest)
            self._held = bytearray()
            return self._line + held[after + padding :] if padding else bytes(held[start:])
        if start < 0 and len(held) > last:
            raise missing_boundary()
        self._held = bytearray(held) if held is chunk else self._held
        return b""
