"""Name what a client sent, or asks for, that is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_filestore.errors.root import FilestoreError


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where a file came in a form that takes several: its field, its name, and from 0 its position among the field's.

    It has none in a field that takes one file.
    """

    field: str
    filename: str
    position: int | None = None

    def __str__(self) -> str:
        position = "" if self.position is None else f" at position {self.position}"
        return f"The file {_cut(self.filename)!r}{position} in the field {_cut(self.field)!r}"


def _cut(text: str) -> str:
    most = 100  # characters of what a client sent
    return text if len(text) <= most else f"{text[: most - 1]}…"


class UploadError(FilestoreError, ValueError):
    """What a client sent can't be accepted; `place` tells which file of a form that takes several, if it is about one.

    Attributes:
        is_of_form: Whether it is about the whole of a form, or says by itself what it is about.
    """

    place: FilePlace | None = None
    is_of_form: bool = False

    def locate(self, place: FilePlace | None) -> None:
        """Note which file it is about."""
        if not self.is_of_form:
            vars(self)["place"] = place  # a frozen dataclass would let nobody set it

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.place is None else f"{self.place}: {text}"


class ClientDisconnectedError(UploadError, ConnectionError):
    """The client went away before the end of the body."""

    is_of_form = True

    def __init__(self) -> None:
        super().__init__("The connection was closed before the end of the body.")


class SlowUploadError(UploadError, TimeoutError):
    """The client sent nothing, or next to nothing, for longer than an upload may wait for it."""

    is_of_form = True

    def __init__(self, seconds: float, *, least: int | None = None) -> None:
        self.seconds, self.least = seconds, least
        came = "nothing" if least is None else f"fewer than {least:,} bytes"
        super().__init__(f"In {seconds:g} seconds {came} of the body came: send it again, over a better connection.")


class LengthRequiredError(UploadError):
    """A request that needs a body has neither a Content-Length nor a Transfer-Encoding, so it has none."""

    def __init__(self) -> None:
        super().__init__("There is no body: send one, with its Content-Length or in chunks.")


class HeaderTooLargeError(FilestoreError, ValueError):
    """A header field of a request is longer than its limit, all of its lines together; both in bytes."""

    def __init__(self, name: str, *, limit: int, actual: int) -> None:
        self.name, self.limit, self.actual = name, limit, actual
        super().__init__(f"The header {name} has {actual:,} bytes; the limit is {limit:,} bytes: send less of it.")


class MalformedUploadError(UploadError):
    """The request's body is not the form it says it is."""

    is_of_form = True


class DigestMismatchError(UploadError):
    """The bytes that arrived are not those that the client gave a digest of; `algorithm` is the digest's."""

    is_of_form = True  # of all that was sent (RFC 9530, section 2)

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        super().__init__(f"The bytes that arrived don't have the {algorithm} digest that came with them: send again.")


class MissingFileError(UploadError):
    """The form lacks the file field, or no file was chosen in it."""

    is_of_form = True

    def __init__(
        self,
        field: str,
        *others: str,
        has_text: bool = False,
        found_in: str | None = None,
        place: FilePlace | None = None,
    ) -> None:
        """Say which fields it may be in, whether there is text in it, and in which one a file was found instead."""
        self.field: str | None = field
        self.place = place
        if place is not None:
            message = f"No file is taken there: send it in the field {' or '.join(map(repr, (field, *others)))}"
        elif has_text:
            message = f"What came in the field {field!r} has no filename, so it is text and no file: send it with one"
        elif found_in is not None:
            message = f"A file came in the field {found_in!r}, where none is taken: send it in the field {field!r}"
        else:
            message = f"The form has no file in the field {field!r}: send one as multipart/form-data"
        super().__init__(f"{message}.")


class NoFileChosenError(MissingFileError):
    """A form's file input was left empty, so there is nothing to store; `field` is None where it is not known."""

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        where = "" if field is None else f" in the field {field!r}"
        UploadError.__init__(
            self, f"No file was chosen{where}: send one. (Code gives None, not an empty upload, to store no file.)"
        )


class TooManyFilesError(UploadError):
    """There are more files than the route or the column takes."""

    is_of_form = True

    def __init__(
        self,
        *,
        limit: int,
        actual: int,
        field: str | None = None,
        found_in: str | None = None,
        place: FilePlace | None = None,
    ) -> None:
        """Say how many there are, which field they are taken in, and in which other one the last came if it did."""
        self.limit, self.actual, self.field = limit, actual, field
        self.place = place
        where = "" if field is None or (place is not None and place.field == field) else f" in the field {field!r}"
        elsewhere = "" if found_in is None else f": leave out the one in the field {found_in!r}"
        super().__init__(f"There are {actual} files; at most {limit} are taken{where}{elsewhere}.")


class UnsupportedUploadError(UploadError):
    """The body's media type, or how it is coded, is not one the route takes."""

    def __init__(self, actual: str, expected: Sequence[str], *, sentence: str | None = None) -> None:
        """Say what came, empty for a body that says nothing of itself, and what is taken; or say all in a sentence."""
        self.actual, self.expected = actual, tuple(expected)
        what = f"of type {actual!r}" if actual else "without a Content-Type"
        super().__init__(sentence or f"A body {what} can't be read here; send {' or '.join(expected)}.")


class TypeMismatchError(UnsupportedUploadError):
    """What a file is declared as, what its first bytes are of and what its name says contradict each other."""

    def __init__(
        self, *, declared: str | None, sniffed: str | None, extension: str | None, is_empty: bool = False
    ) -> None:
        self.declared, self.sniffed, self.extension = declared, sniffed, extension
        self.actual, self.expected = sniffed or "", tuple(kind for kind in (declared, extension) if kind)
        if is_empty:
            UploadError.__init__(
                self, f"The file is empty, and so none of type {declared or extension}: choose it again."
            )
            return
        UploadError.__init__(
            self,
            f"The file's types contradict each other: it is declared as {declared or 'nothing'}, its first bytes are "
            f"{sniffed or 'unknown'}, and its name says {extension or 'nothing'}.",
        )


class UploadTooLargeError(UploadError):
    """A body, file or field is larger than its limit; both in bytes, `actual` is None if only its start was read.

    That of a file in a form is what the form's announced length leaves for it: it `is_about` so, since its head, or
    fields behind it, may not have come yet.
    """

    def __init__(
        self,
        what: str,
        *,
        limit: int,
        actual: int | None = None,
        is_about: bool = False,
        field: str | None = None,
        place: FilePlace | None = None,
    ) -> None:
        """Say what it is, or which field or file of a form."""
        self.what, self.limit, self.actual, self.is_about = what, limit, actual, is_about
        self.field, self.place = field, place
        self.is_of_form = what not in {"file", "request body"} or place is not None
        size = "more" if actual is None else f"{'about ' if is_about else ''}{actual:,} bytes"
        super().__init__(f"The {what} has {size}; the limit is {limit:,} bytes.")


class InvalidSignatureError(FilestoreError, PermissionError):
    """A signed URL of the application is forged, expired, or meant for something else; its text never says which.

    `reason` does, for operators: `expired`, `unknown-key`, `mangled`, …
    """

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__("The signed URL is not valid, or no longer.")


class InvalidCursorError(FilestoreError, ValueError):
    """A page's cursor was not made by this listing."""

    def __init__(self) -> None:
        super().__init__("The cursor is not one of this listing: start again without it.")
