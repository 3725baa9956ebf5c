"""Name what stores fail with, and what there is too little of to use them."""

from fastapi_filestore.errors.root import FilestoreError


class StorageError(FilestoreError):
    """A backend could not do what it was asked; `backend` is its key, `path` the object's.

    Attributes:
        backend: The backend's key.
        path: Where the object lies in it.
        code: The store's word for what is wrong, such as `SlowDown`, or the system's, such as `ENOSPC`.
        status: The status of the store's answer.
        errno: The system's number of the failure.
        cause: All of these in words, for operators; there is no URL, signature or credential in it.
    """

    code: str | None = None
    status: int | None = None
    errno: int | None = None
    cause: str | None = None

    def __init__(self, message: str, *, backend: str | None = None, path: str | None = None) -> None:
        self.backend, self.path = backend, path
        super().__init__(message)


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """The object does not exist in its backend."""


class BucketNotFoundError(StorageError, FileNotFoundError):
    """The bucket or container of a backend does not exist."""


class ObjectExistsError(StorageError, FileExistsError):
    """An object of that key exists and must not be overwritten."""


class PreconditionFailedError(StorageError):
    """The object changed since its entity tag was read."""


class StorageFullError(StorageError, OSError):
    """The store has no room for an object: its disk is full, its quota is used up, or the object is too large."""


class StoragePermissionError(StorageError, PermissionError):
    """The store refused the credentials, or they lack a permission."""


class StorageUnavailableError(StorageError, ConnectionError):
    """The store could not be reached or answered with a server error, retries included."""


class StorageTimeoutError(StorageUnavailableError, TimeoutError):
    """The store did not answer in time, retries included."""


class InvalidKeyError(StorageError, ValueError):
    """An object key that a store would misread: empty, `..`, a leading or double slash, a control character."""


class RangeNotSatisfiableError(StorageError, ValueError):
    """A range begins at or after the end of the object; `size` is the object's, in bytes."""

    def __init__(
        self, message: str, *, size: int | None = None, backend: str | None = None, path: str | None = None
    ) -> None:
        self.size = size
        super().__init__(message, backend=backend, path=path)


class SigningUnavailableError(StorageError, NotImplementedError):
    """This backend has no signed URLs of its own and no signing key is configured."""


class ForkedProcessError(StorageError, RuntimeError):
    """A backend used before a fork is used after it; its connections would hang for ever."""


class UploadMemoryError(FilestoreError, MemoryError):
    """The memory that uploads share is taken, and others were before this one, or are faster."""

    def __init__(self) -> None:
        super().__init__(
            "The memory that the uploads of this process share is taken: try again later, or give them more with "
            "FILESTORE_UPLOAD_MEMORY."
        )
