"""The one seam where every failure of obstore becomes a `StorageError`.

obstore says most of what happened in prose only, and its prose may hold request URLs with signatures and tokens in
them. So its text is read here for facts and never passed on: what we raise is our own words, the HTTP status and the
store's error code.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import errorcode
from http import HTTPStatus

from obstore import exceptions as obstore_errors

from fastapi_filestore.errors import (
    BucketNotFoundError,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.obstore.credential_failures import (
    CredentialsError,
    Failure,
    failure_in,
)
from fastapi_filestore.storage.obstore.durability import SyncError
from fastapi_filestore.storage.obstore.open_folder import LeadsOutsideError

STATUS = re.compile(r"status code: (\d{3})")
CODE = re.compile(r"<Code>(\w{1,64})</Code>|\(code: (\w{1,64})\)")
BAD_RANGE = re.compile(r"StartTooLarge|Inconsistent \{|InvalidRange|416 Range")
LOCAL_KINDS: tuple[tuple[re.Pattern[str], type[StorageError]], ...] = (
    (re.compile(r"InvalidFilename|NotADirectory|IsADirectory|Filenames containing trailing"), InvalidKeyError),
    (re.compile(r"kind: PermissionDenied|kind: ReadOnlyFilesystem|os error (1|13|30)\)"), StoragePermissionError),
    (re.compile(r"TimedOut|timed out|deadline has elapsed", re.IGNORECASE), StorageTimeoutError),
    (
        re.compile(r"HTTP error|error sending request|Connect\b|dns error|ConnectionReset|IncompleteMessage"),
        StorageUnavailableError,
    ),
)
"""What a text says where no store has answered: of a disk, or of the network between it and us."""

PANICS = {("pyo3_runtime", "PanicException"), ("pyo3_async_runtimes", "RustPanic")}
"""Crashes inside Rust; the first derives from BaseException, and neither can be imported."""

CULPRIT = re.compile(
    r'object with invalid path: (?:Error parsing )?Path "(.{1,1024})"(?:: Encountered illegal| contained empty)',
    re.DOTALL,
)
"""The name of an object in a listing that obstore can't take."""
DETAILS = "\n\nDebug source:"
KEY_PHRASES = ("location {key} ", "path {key}:", "key {key}:")
"""How obstore shows a key, unescaped."""

NO_BUCKET_CODES = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "FilesystemNotFound"})
NO_BUCKET_TEXT = ("The specified container does not exist", "The specified bucket does not exist")
DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AuthorizationFailure",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)


@dataclass(frozen=True, slots=True)
class Report:
    """The facts in an error's text."""

    text: str
    status: int | None
    code: str | None
    reason: str | None = None
    culprit: str | None = None
    summary: str = ""

    @property
    def suffix(self) -> str:
        """Status and code, or what the system says, in brackets, to end a message with."""
        facts = " ".join(str(fact) for fact in (self.status, self.code, self.reason) if fact)
        return f" ({facts})" if facts else ""


@contextmanager
def translated(backend: str, key: str | None = None) -> Iterator[None]:
    """Turn whatever obstore raises inside into the fitting `StorageError` of this backend and object key."""
    try:
        yield
    except StorageError as exc:
        exc.backend, exc.key = exc.backend or backend, exc.key or key
        raise
    except BaseException as exc:
        error = translate(exc, backend=backend, key=key)
        if error is None:
            raise
        # The text of obstore's may hold a signed URL, and a traceback would print it.
        raise error from (exc if _is_of_system(exc) else None)


def _unsynced(exc: SyncError, backend: str, key: str | None) -> StorageError:
    shown = "what was removed from it" if key is None else ascii(key)
    return StorageError(
        f"The disk of backend {backend!r} did not confirm {shown} ({_in_words(exc)}), so a power cut might undo it: "
        "look after the disk before you trust it again.",
        backend=backend,
        key=key,
    )


def translate(exc: BaseException, *, backend: str, key: str | None = None) -> StorageError | None:
    """Return the most specific error of ours for one of obstore's; None if it is not the store's failure."""
    if (known := _translate_known(exc, backend, key)) is not None:
        return known
    if not isinstance(exc, obstore_errors.BaseError | OSError | NotImplementedError | ValueError):
        return None
    report = _read(exc, key)
    if isinstance(exc, obstore_errors.BaseError) and (failure := failure_in(report.summary)) is not None:
        return _without_credentials(failure, backend, key, report.suffix)
    kind = _kind(exc, report)
    return kind(_message(kind, backend, key, report), backend=backend, key=key)


def _translate_known(exc: BaseException, backend: str, key: str | None) -> StorageError | None:
    """Return what a failure is whose class says all of it."""
    if _is_panic(exc):
        return StorageError(
            f"The store of backend {backend!r} failed inside its driver; please report this.", backend=backend, key=key
        )
    if isinstance(exc, CredentialsError):
        return _without_credentials(exc.failure, backend, key)
    if isinstance(exc, SyncError):
        return _unsynced(exc, backend, key)
    if isinstance(exc, LeadsOutsideError):
        return ObjectNotFoundError(
            f"Backend {backend!r} has no object {key!a}: a link there leads out of its folder.",
            backend=backend,
            key=key,
        )
    return None


def _without_credentials(failure: Failure, backend: str, key: str | None, suffix: str = "") -> StorageError:
    kind = StorageUnavailableError if failure.is_outage else StoragePermissionError
    return kind(f"Backend {backend!r} has no credentials: {failure.reason}{suffix}.", backend=backend, key=key)


def _in_words(error: OSError) -> str:
    """Return what the system says of a failure: `No space left on device, ENOSPC`."""
    number = error.errno or 0
    return f"{os.strerror(number)}, {errorcode.get(number, number)}"


def _is_of_system(exc: BaseException) -> bool:
    # obstore raises a few of these as well, without a number.
    return isinstance(exc, OSError) and exc.errno is not None


def _is_panic(exc: BaseException) -> bool:
    return (type(exc).__module__, type(exc).__name__) in PANICS


def _read(exc: BaseException, key: str | None) -> Report:
    if isinstance(exc, OSError) and exc.errno is not None:
        return Report(text="", status=None, code=None, reason=_in_words(exc))
    summary, _, details = str(exc).partition(DETAILS)
    for phrase in KEY_PHRASES if key else ():
        # A key that looks like an error must not be read as one.
        summary = summary.replace(phrase.format(key=key), "")
    status, code, culprit = STATUS.search(summary), CODE.search(summary), CULPRIT.search(summary)
    return Report(
        text=summary + details,
        status=int(status[1]) if status else None,
        code=(code[1] or code[2]) if code else None,
        culprit=culprit[1] if culprit else None,
        summary=summary,
    )


def _kind(exc: BaseException, report: Report) -> type[StorageError]:
    if _is_missing_bucket(report):
        return BucketNotFoundError
    for source, ours in KINDS:
        if isinstance(exc, source):
            return ours
    return _kind_of_text(report)


def _is_missing_bucket(report: Report) -> bool:
    return report.code in NO_BUCKET_CODES or any(text in report.text for text in NO_BUCKET_TEXT)


KINDS: tuple[tuple[type[BaseException], type[StorageError]], ...] = (
    (FileNotFoundError, ObjectNotFoundError),
    (obstore_errors.AlreadyExistsError, ObjectExistsError),
    (FileExistsError, ObjectExistsError),
    (obstore_errors.PreconditionError, PreconditionFailedError),
    (obstore_errors.NotModifiedError, PreconditionFailedError),
    (obstore_errors.PermissionDeniedError, StoragePermissionError),
    (obstore_errors.UnauthenticatedError, StoragePermissionError),
    (PermissionError, StoragePermissionError),
    (obstore_errors.InvalidPathError, InvalidKeyError),
    (obstore_errors.NotFoundError, ObjectNotFoundError),
    (obstore_errors.NotSupportedError, StorageError),
    (obstore_errors.JoinError, StorageError),
    (obstore_errors.UnknownConfigurationKeyError, StorageError),
    (TimeoutError, StorageTimeoutError),
    (ConnectionError, StorageUnavailableError),
)


def _kind_of_text(report: Report) -> type[StorageError]:
    if report.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or report.code in DENIED_CODES:
        return StoragePermissionError
    if report.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return PreconditionFailedError
    if BAD_RANGE.search(report.text):
        return RangeNotSatisfiableError
    if report.status == HTTPStatus.NOT_FOUND:
        return ObjectNotFoundError
    return _kind_of_outage(report) if report.status else _kind_of_local(report)


def _kind_of_local(report: Report) -> type[StorageError]:
    """Return the kind of what this machine says: of its disk, or of the network between it and the store."""
    return next((ours for text, ours in LOCAL_KINDS if text.search(report.text)), StorageError)


def _kind_of_outage(report: Report) -> type[StorageError]:
    assert report.status is not None, "the store has answered"
    if report.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT):
        return StorageTimeoutError
    busy = report.status == HTTPStatus.TOO_MANY_REQUESTS or report.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return StorageUnavailableError if busy else StorageError


SENTENCES: dict[type[StorageError], str] = {
    ObjectNotFoundError: "has no object {key}",
    BucketNotFoundError: "points to a bucket or container that does not exist: create it, or correct the URL",
    ObjectExistsError: "has an object {key} already",
    PreconditionFailedError: "refused the request for {key}: the object changed meanwhile",
    StoragePermissionError: "refused access to {key}: check the credentials and what they permit",
    StorageTimeoutError: "did not answer in time for {key}",
    StorageUnavailableError: "could not be reached for {key}: check the endpoint and that the store is up",
    InvalidKeyError: "can't hold an object named {key}",
    RangeNotSatisfiableError: "has no such range of {key}",
    StorageError: "failed for {key}",
}


UNLISTABLE = (
    "Backend {backend!r} can't be listed: somebody stored the object {culprit!a} there, with a control character, a "
    "step such as '..', or nothing between two slashes in its name. Rename or delete it with the store's own tools, or "
    "give the backend a prefix that it is not below."
)


def _message(kind: type[StorageError], backend: str, key: str | None, report: Report) -> str:
    if key is None and report.culprit is not None:
        return UNLISTABLE.format(backend=backend, culprit=report.culprit)
    shown = "the bucket" if key is None else ascii(key)
    return f"Backend {backend!r} {SENTENCES[kind].format(key=shown)}{report.suffix}."
