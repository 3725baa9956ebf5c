"""Define every error this library raises; know no HTTP and import nothing of ours.

FilestoreError
├── ConfigurationError                 (ValueError)
│   ├── SettingsError
│   ├── DuplicateBackendError
│   ├── InvalidScopeError
│   ├── OverlappingBackendsError
│   └── UnknownBackendError            (LookupError)
├── StorageError
│   ├── ObjectNotFoundError            (FileNotFoundError)
│   ├── BucketNotFoundError            (FileNotFoundError)
│   ├── ObjectExistsError              (FileExistsError)
│   ├── PreconditionFailedError
│   ├── StorageFullError               (OSError)
│   ├── StoragePermissionError         (PermissionError)
│   ├── StorageUnavailableError        (ConnectionError)
│   ├── StorageTimeoutError            (TimeoutError)
│   ├── InvalidKeyError                (ValueError)
│   ├── RangeNotSatisfiableError       (ValueError)
│   ├── SigningUnavailableError        (NotImplementedError)
│   └── ForkedProcessError             (RuntimeError)
├── BlockingCallError                  (RuntimeError)
├── DatabaseFailedError                (RuntimeError)
├── DatabaseUnavailableError           (ConnectionError)
│   ├── DatabaseFullError
│   └── DatabaseReadOnlyError
├── UploadMemoryError                  (MemoryError)
├── InvalidSignatureError              (PermissionError)
├── ContentError
│   ├── UnsupportedContentError        (TypeError)
│   │   └── NotAFileError
│   ├── PendingContentError            (RuntimeError)
│   ├── ContentConsumedError           (RuntimeError)
│   ├── SharedFileError                (ValueError)
│   ├── StaleFileError                 (RuntimeError)
│   └── UnsupportedStatementError      (TypeError)
├── LedgerError
│   ├── IntentLostError                (RuntimeError)
│   └── LedgerMissingError             (RuntimeError)
├── UploadError                        (ValueError)
│   ├── ClientDisconnectedError        (ConnectionError)
│   ├── DigestMismatchError
│   ├── LengthRequiredError
│   ├── MalformedUploadError
│   ├── MissingFileError
│   │   └── NoFileChosenError
│   ├── SlowUploadError                (TimeoutError)
│   ├── TooManyFilesError
│   ├── UnsupportedUploadError
│   │   └── TypeMismatchError
│   └── UploadTooLargeError
├── HeaderTooLargeError                (ValueError)
├── InvalidCursorError                 (ValueError)
├── InvalidFieldsError                 (ValueError)
├── OutOfScopeError                    (PermissionError)
├── RowNotFoundError                   (LookupError)
├── FileNotSetError                    (LookupError)
├── NeverAwaitedError                  (RuntimeError)
├── UnitOfWorkEndedError               (RuntimeError)
├── RowConflictError                   (ValueError)
├── StaleRowError                      (RuntimeError)
└── UnreadableFileError                (ValueError)
"""

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any


class FilestoreError(Exception):
    """The root: catch it to catch everything this library raises.

    Pickled, as on its way from a worker process, it keeps its text and its attributes; a note tells of its cause. A
    copy has the same attributes, and the same cause.
    """

    def __reduce__(self) -> tuple[Callable[..., Exception], tuple[object, ...], dict[str, object]]:
        """Return how to make it again: not by its class's own arguments, of which its text is made."""
        # What is pickled to see whether it can be is not looked into again: errors that lead to each other would be
        # pickled as often as there are ways between them.
        keep: Callable[[object], object] = (lambda value: value) if _is_looked_into.get() else _picklable
        state = {name: keep(value) for name, value in vars(self).items()}
        if self.__cause__ is not None:
            notes = [*getattr(self, "__notes__", ()), f"Its cause was {self.__cause__!r}."]
            state["__notes__"] = notes
        return _remake, (type(self), *map(keep, self.args)), state

    def __setstate__(self, state: dict[str, object] | None) -> None:
        """Take attributes over, which a frozen dataclass would not let anybody set."""
        vars(self).update(state or {})

    def __copy__(self) -> Exception:
        """Return another one with the very same attributes."""
        copied = _remake(type(self), *self.args)
        vars(copied).update(vars(self))
        if notes := getattr(self, "__notes__", None):
            vars(copied)["__notes__"] = [*notes]
        if self.__cause__ is not None:
            BaseException.__setattr__(copied, "__cause__", self.__cause__)
        return copied


_is_looked_into: ContextVar[bool] = ContextVar("fastapi_filestore_is_looked_into", default=False)
"""Whether something is pickled only to see whether it can be."""


def _remake(family: type[Exception], *args: object) -> Exception:
    error = (OSError if issubclass(family, OSError) else Exception).__new__(family)
    # An OSError takes none before its __init__, and a frozen dataclass lets nobody set them in its own way.
    BaseException.__setattr__(error, "args", args)
    return error


def _picklable(value: object) -> object:
    """Return a value, or its text if another process could not read it: a pool would wait for it for ever."""
    around = _is_looked_into.set(True)
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - what was pickled a moment ago
    except Exception:  # noqa: BLE001 - whatever a value raises that can't be pickled
        return repr(value)
    finally:
        _is_looked_into.reset(around)
    return value


# -- configuration ---------------------------------------------------------------------------------


class ConfigurationError(FilestoreError, ValueError):
    """A backend, a setting or a binding can't work as it was given."""


class SettingsError(ConfigurationError):
    """Environment variables hold wrong values; each problem names its variable and the remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(("The file store's settings are wrong:", *(f"- {line}" for line in problems))))


class DuplicateBackendError(ConfigurationError):
    """Two backends of one registry were given the same key.

    `problem` says by whom, where it is not the caller alone who gives keys, and what to do.
    """

    def __init__(self, key: str, known: Iterable[str], problem: str | None = None) -> None:
        self.key, self.known, self.problem = key, tuple(known), problem
        known_keys = f"A backend {key!r} is registered already (known: {', '.join(map(repr, self.known))})"
        remedy = ": choose another key, unregister it first, or pass replace=True."
        super().__init__(known_keys + (remedy if problem is None else f", {problem}."))


class InvalidScopeError(ConfigurationError):
    """The scope of a service is no condition on its model's rows, or the service does not take it on."""


class OverlappingBackendsError(ConfigurationError):
    """Two backends of one registry would hold the same objects, so that each takes the other's for its own garbage."""

    def __init__(self, key: str, place: str, other: str, other_place: str) -> None:
        self.key, self.other = key, other
        super().__init__(
            f"Backend {key!r} would be at {place}, and {other!r} is at {other_place}: one holds objects of the other, "
            "and would delete them as its own. Give each a bucket, a folder or a prefix beside the other's; to rename "
            "a backend, change its name in the rows, too."
        )


class UnknownBackendError(ConfigurationError, LookupError):
    """No backend of that key is registered."""

    def __init__(self, key: str, known: Iterable[str]) -> None:
        self.key, self.known = key, tuple(known)
        names = ", ".join(map(repr, self.known)) or "none"
        super().__init__(
            f"No backend {key!r} is registered (known: {names}). Register it with storages.register_backend(...) or "
            f"set FILESTORE_BACKENDS__{key.upper()}__URL and run inside Filestore.lifespan."
        )


# -- storage ---------------------------------------------------------------------------------------


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


class InvalidSignatureError(FilestoreError, PermissionError):
    """A signed URL of the application is forged, expired, or meant for something else; its text never says which.

    `reason` does, for operators: `expired`, `unknown-key`, `mangled`, …
    """

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__("The signed URL is not valid, or no longer.")


# -- content ---------------------------------------------------------------------------------------


class ContentError(FilestoreError):
    """Content that can't be stored as it was given."""


class UnsupportedContentError(ContentError, TypeError):
    """Content of a type that can't be stored."""


class NotAFileError(UnsupportedContentError):
    """A column of files was given something that is none: a mistake of the application, whatever a client sent."""


class PendingContentError(ContentError, RuntimeError):
    """A file whose bytes were never stored was about to be used as if they were."""


class ContentConsumedError(ContentError, RuntimeError):
    """Content that can be read only once was read already, so it can't be stored again."""


class SharedFileError(ContentError, ValueError):
    """Two rows, or two columns of one, would point to the same stored file; deleting one would take the other's."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} would be in two places: a stored file belongs to one row. Give the other "
            "`await file.copy_async()`, or a FileObject of its own with the same content, or take the file out of the "
            "first row in the same transaction."
        )


class StaleFileError(ContentError, RuntimeError):
    """A row would point to a file that another transaction replaced or deleted since it was read."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} was replaced or deleted meanwhile by another transaction: roll back, read the row again, "
            "and repeat the change."
        )


class UnsupportedStatementError(ContentError, TypeError):
    """A bulk statement, or a kind of session, whose effect on files can't be known."""


# -- the ledger ------------------------------------------------------------------------------------


class LedgerError(FilestoreError):
    """The ledger can't vouch for a file."""


class IntentLostError(LedgerError, RuntimeError):
    """A sweeper took the intent of an upload before its row was written: the bytes may be gone."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        super().__init__(
            f"{filename!r} waited for its row for longer than the ledger's min_age, and a sweeper took it for garbage: "
            "store it again, or give add_ledger a longer min_age."
        )


class LedgerMissingError(LedgerError, RuntimeError):
    """The ledger's table is not in the database, or lacks the column that `column` names."""

    def __init__(self, table: str, *, column: str | None = None) -> None:
        self.table, self.column = table, column
        super().__init__(
            f"The ledger's table {table!r} is missing: create it with metadata.create_all or an Alembic migration "
            "(alembic revision --autogenerate, alembic upgrade head)."
            if column is None
            else f"The ledger's table {table!r} lacks the column {column!r}: bring it up to date with an Alembic "
            "migration (alembic revision --autogenerate, alembic upgrade head); create_all leaves it as it is."
        )


# -- uploads ---------------------------------------------------------------------------------------


class UploadError(FilestoreError, ValueError):
    """What a client sent can't be accepted."""


class ClientDisconnectedError(UploadError, ConnectionError):
    """The client went away before the end of the body."""

    def __init__(self) -> None:
        super().__init__("The connection was closed before the end of the body.")


class SlowUploadError(UploadError, TimeoutError):
    """The client sent nothing, or next to nothing, for longer than an upload may wait for it."""

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


class DigestMismatchError(UploadError):
    """The bytes that arrived are not those that the client gave a digest of; `algorithm` is the digest's."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        super().__init__(f"The bytes that arrived don't have the {algorithm} digest that came with them: send again.")


class MissingFileError(UploadError):
    """The form lacks the file field, or no file was chosen in it."""

    def __init__(self, field: str, *, has_text: bool = False, found_in: str | None = None) -> None:
        """Say which field it is, whether there is text in it, and in which one a file was found instead."""
        self.field: str | None = field
        if has_text:
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

    def __init__(self, *, limit: int, actual: int, field: str | None = None, found_in: str | None = None) -> None:
        """Say how many there are, which field they are taken in, and in which other one the last came if it did."""
        self.limit, self.actual = limit, actual
        place = "" if field is None else f" in the field {field!r}"
        elsewhere = "" if found_in is None else f": leave out the one in the field {found_in!r}"
        super().__init__(f"There are {actual} files; at most {limit} are taken{place}{elsewhere}.")


class UnsupportedUploadError(UploadError):
    """The body's media type, or how it is coded, is not one the route takes."""

    def __init__(self, actual: str, expected: Sequence[str], *, sentence: str | None = None) -> None:
        """Say what came, empty for a body that says nothing of itself, and what is taken; or say all in a sentence."""
        self.actual, self.expected = actual, tuple(expected)
        what = f"of type {actual!r}" if actual else "without a Content-Type"
        super().__init__(sentence or f"A body {what} can't be read here; send {' or '.join(expected)}.")


class TypeMismatchError(UnsupportedUploadError):
    """What a file is declared as, what its first bytes are of and what its name says contradict each other."""

    def __init__(self, *, declared: str | None, sniffed: str | None, extension: str | None) -> None:
        self.declared, self.sniffed, self.extension = declared, sniffed, extension
        self.actual, self.expected = sniffed or "", tuple(kind for kind in (declared, extension) if kind)
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

    def __init__(self, what: str, *, limit: int, actual: int | None = None, is_about: bool = False) -> None:
        self.what, self.limit, self.actual, self.is_about = what, limit, actual, is_about
        size = "more" if actual is None else f"{'about ' if is_about else ''}{actual:,} bytes"
        super().__init__(f"The {what} has {size}; the limit is {limit:,} bytes.")


# -- rows ------------------------------------------------------------------------------------------


class DatabaseUnavailableError(FilestoreError, ConnectionError):
    """The database could not do it now, and may do it later: it is down or too busy.

    `reason` is why and what to do, for operators, with neither the statement nor its values; `code` is the SQL state,
    the name of SQLite's code or the number of MySQL's.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        self.reason, self.code = reason, code
        super().__init__(f"The database can't be used at the moment: {reason}")


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The database can be read and takes no changes: it is a replica, or its file may not be written."""


class DatabaseFullError(DatabaseUnavailableError):
    """The database has no room left on its disk."""


class DatabaseFailedError(FilestoreError, RuntimeError):
    """The database did not do what it was asked, and would not a moment later.

    `reason` and `code` are as those of `DatabaseUnavailableError`.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        self.reason, self.code = reason, code
        super().__init__(f"The database did not do what it was asked: {reason}")


class InvalidCursorError(FilestoreError, ValueError):
    """A page's cursor was not made by this listing."""

    def __init__(self) -> None:
        super().__init__("The cursor is not one of this listing: start again without it.")


class InvalidFieldsError(FilestoreError, ValueError):
    """Values for a row's columns are wrong; `problems` has one entry for each, as pydantic reports them."""

    MOST_SAID = 20
    """Problems that the message tells."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        self.problems = tuple(problems)
        texts = [": ".join(filter(None, (".".join(map(str, p["loc"])), p["msg"]))) for p in problems[: self.MOST_SAID]]
        more = len(problems) - len(texts)
        super().__init__("; ".join([*texts, f"and {more:,} more"] if more else texts))


class OutOfScopeError(FilestoreError, PermissionError):
    """A row that was written would be outside of the service's scope, so it was not."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} would belong to what is not yours to write.")


class RowNotFoundError(FilestoreError, LookupError):
    """No row of the model has that primary key."""

    def __init__(self, model: str, identity: object) -> None:
        self.model, self.identity = model, identity
        super().__init__(f"There is no {model} with the id {identity!s}.")


class FileNotSetError(FilestoreError, LookupError):
    """The row exists but its file column is empty."""

    def __init__(self, model: str, field: str) -> None:
        self.model, self.field = model, field
        super().__init__(f"This {model} has no {field}.")


class BlockingCallError(FilestoreError, RuntimeError):
    """A blocking call was made where it would wait for ever: in the thread of the event loop that must serve it."""


class NeverAwaitedError(FilestoreError, RuntimeError):
    """A unit of work called coroutine methods and awaited none of them, so what they were to do was not done."""

    def __init__(self, calls: Sequence[str]) -> None:
        self.calls = tuple(calls)
        super().__init__(
            f"{', '.join(self.calls)}: called and never awaited, so nothing was done, and the unit of work is rolled "
            "back. In an `async def` endpoint write `await` before the call. In a `def` endpoint, which can't await, "
            "use `service.wait(service.create(...))`, and of a file its blocking twin, such as `file.save()`."
        )


class UnitOfWorkEndedError(FilestoreError, RuntimeError):
    """A service was to write after its unit of work had ended: nobody would commit that."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"This unit of work of {model} has ended, so nobody would commit what is written now: that of a request "
            "ends before its response is sent, so before background tasks and streams, and each ends with its block, "
            "whichever of its tasks still run. Wait for all tasks, or open a unit of your own, with "
            f"your sessionmaker: `async with Session() as session, FileService(session, model={model}).unit_of_work() "
            "as service: await service.create(...)`."
        )


class RowConflictError(FilestoreError, ValueError):
    """The database refused the row: a unique, foreign key, check or not-null constraint."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} conflicts with another row or misses a value that the database requires.")


class StaleRowError(FilestoreError, RuntimeError):
    """Another transaction changed or deleted the row since it was read."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"The {model} was changed or deleted meanwhile: read it again, then try again.")


class UnreadableFileError(FilestoreError, ValueError):
    """The row's file column holds something else than a file.

    `problem` says what is wrong; `table`, `column` and `identity` (the primary key) where, as far as it is known.
    """

    def __init__(
        self,
        problem: str,
        *,
        table: str | None = None,
        column: str | None = None,
        identity: tuple[Any, ...] | None = None,
    ) -> None:
        self.problem, self.table, self.column, self.identity = problem, table, column, identity
        key = ", ".join(map(repr, identity or ()))
        place = f"{table}.{column} of the row with the key {key}" if table else "A file column"
        super().__init__(
            f"{place} can't be read as a file: {problem}. Write what belongs there, or NULL; an audit lists all such "
            "rows."
        )
