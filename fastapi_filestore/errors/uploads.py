"""Name what can't be done with an upload that is a thing of its own."""

from fastapi_filestore.errors.requests import UploadError
from fastapi_filestore.errors.root import FilestoreError


class UploadNotFoundError(FilestoreError, LookupError):
    """There is no such upload: it never was, it is somebody else's, it has ended, or its time is over."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"There is no upload {identity[:80]!a}: begin a new one.")


class UploadClaimedError(FilestoreError):
    """A row took the upload already; `location` is the row's URL path, if it is known and the row is there still."""

    def __init__(self, location: str | None, *, is_gone: bool = False) -> None:
        """Say which row it was, and whether that `is_gone` by now."""
        self.location = None if is_gone else location
        if is_gone:
            told = "A row took the upload, and is gone by now: begin a new one."
        elif location is None:
            told = (
                "A row has the upload already, which a route of the application's own wrote, so this one can't say "
                "where it is: begin a new one for another row."
            )
        else:
            told = f"The upload belongs to {location} already: begin a new one for another row."
        super().__init__(told)


class UploadIncompleteError(UploadError):
    """An upload is to become a row's file, and its bytes are not all there; both in bytes, None if unknown."""

    def __init__(self, *, received: int | None, size: int | None, is_direct: bool = False) -> None:
        """Say how much there is; what a client stored by itself `is_direct`, and nothing can be added to it."""
        self.received, self.size = received, size
        if received is None:
            told = "Nothing has come of the upload yet: store it before a row takes it."
        elif size is None:
            told = f"{received:,} bytes have come, and nobody has said how many there are: send Upload-Length."
        elif is_direct or received > size:
            told = f"{size:,} bytes were announced, and {received:,} were stored: end the upload, and begin a new one."
        else:
            told = f"{received:,} bytes of {size:,} have come: send the rest before a row takes the upload."
        super().__init__(told)


class UploadDigestError(UploadError):
    """The bytes of an upload have another SHA-256 than was announced; nothing of it is kept."""

    def __init__(self, *, announced: str, actual: str) -> None:
        self.announced, self.actual = announced, actual
        super().__init__(
            f"The SHA-256 {announced} was announced, and that of the bytes is {actual}: the upload has ended, and "
            "nothing of it is kept; begin a new one."
        )


class TooManyUploadsError(FilestoreError):
    """Whoever begins an upload has too many that are open; `seconds` says when the first of them goes by itself."""

    def __init__(self, *, limit: int, actual: int, unit: str, seconds: int) -> None:
        self.limit, self.actual, self.unit, self.seconds = limit, actual, unit, seconds
        super().__init__(
            f"There would be {actual:,} {unit} in open uploads; at most {limit:,} may be: finish or delete some, or "
            "try again later."
        )


class UploadOffsetError(UploadError):
    """A client goes on at another byte of an upload than the one that comes next; both are counted from 0."""

    def __init__(self, *, start: int, received: int) -> None:
        self.start, self.received = start, received
        super().__init__(
            f"The upload goes on at byte {received:,}, not at {start:,}: ask where it is, and go on there."
        )


class UploadBusyError(FilestoreError):
    """Another request writes to the upload, and does not let go."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"Another request is writing to the upload {identity[:80]!a}: try again later.")


class FinalUploadError(FilestoreError):
    """An upload that is made of others takes no bytes of its own."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"The upload {identity[:80]!a} is made of others: it takes no bytes.")


class UploadPartError(UploadError):
    """An upload is to be made of what is no part, or of a part that is not complete; or a row is to take a part."""


class UploadAssemblingError(FilestoreError):
    """The file of an upload is being put together, or copied to its place, and that takes a while."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"The upload {identity[:80]!a} is being put together: ask again in some seconds.")
