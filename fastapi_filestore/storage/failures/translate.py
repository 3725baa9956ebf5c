"""Turn every failure of obstore, and of a local disk, into a `StorageError`: the one seam.

No text of theirs is passed on, since it may hold request URLs with signatures and tokens: what we raise is our own
words, with the facts that the text was read for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from obstore import exceptions as obstore_errors

from fastapi_filestore.errors import (
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
)
from fastapi_filestore.settings import variable
from fastapi_filestore.storage.failures.credentials import CredentialsError, Failure, failure_in
from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError, SyncError
from fastapi_filestore.storage.failures.reasons import (
    BAD_KEY,
    CHANGED,
    CHECKSUM_NEEDED,
    CLOSED_FEATURE,
    DISK_FAILED,
    ERRNOS,
    EXISTS,
    FAILED,
    NO_BUCKET,
    NO_BULK_DELETE,
    NO_CREDENTIALS,
    NO_OBJECT,
    NOT_SUPPORTED,
    REDIRECTED,
    REFUSED,
    SILENCE,
    SILENT,
    UNREACHABLE,
    UPLOAD_GONE,
    WORDS,
    WRONG_REGION,
    Reason,
    reason_of_status,
)
from fastapi_filestore.storage.failures.report import Report, describe_number, read_error
from fastapi_filestore.storage.failures.store_codes import CODES

PANICS = {("pyo3_runtime", "PanicException"), ("pyo3_async_runtimes", "RustPanic")}
"""Crashes inside Rust; the first derives from BaseException, and neither can be imported."""

NO_BUCKET_TEXT = ("The specified container does not exist", "The specified bucket does not exist")

KINDS: tuple[tuple[type[BaseException], Reason], ...] = (
    (FileNotFoundError, NO_OBJECT),
    (obstore_errors.AlreadyExistsError, EXISTS),
    (FileExistsError, EXISTS),
    (obstore_errors.PreconditionError, CHANGED),
    (obstore_errors.NotModifiedError, CHANGED),
    (obstore_errors.PermissionDeniedError, REFUSED),
    (obstore_errors.UnauthenticatedError, REFUSED),
    (PermissionError, REFUSED),
    (obstore_errors.InvalidPathError, BAD_KEY),
    (obstore_errors.NotFoundError, NO_OBJECT),
    (obstore_errors.NotSupportedError, CLOSED_FEATURE),
    (obstore_errors.JoinError, FAILED),
    (obstore_errors.UnknownConfigurationKeyError, FAILED),
    (TimeoutError, SILENT),
    (ConnectionError, UNREACHABLE),
)
"""What a class says by itself; the two general ones are told by their text."""


@contextmanager
def translating(backend: str, path: str | None = None, folder: Path | None = None) -> Iterator[None]:
    """Turn whatever obstore raises inside into the fitting `StorageError` of this backend and object path.

    `folder` is where a backend's files are, for operators.
    """
    try:
        yield
    except StorageError as exc:
        exc.backend, exc.path = exc.backend or backend, exc.path or path
        raise
    except BaseException as exc:
        error = translate(exc, backend=backend, path=path, folder=folder)
        if error is None:
            raise
        # The text of obstore's may hold a signed URL, and a traceback would print it. The system's have a number.
        is_of_system = isinstance(exc, OSError) and exc.errno is not None
        raise error from (exc if is_of_system else None)


def translate(
    exc: BaseException, *, backend: str, path: str | None = None, folder: Path | None = None
) -> StorageError | None:
    """Return the most specific error of ours for one of obstore's; None if it is not the store's failure."""
    if (known := _translate_by_class(exc, backend, path, folder)) is not None:
        return known
    if not isinstance(exc, obstore_errors.BaseError | OSError | NotImplementedError | ValueError):
        return None
    report = read_error(exc, path)
    if isinstance(exc, obstore_errors.BaseError) and (failure := failure_in(report.summary)) is not None:
        return _error_of_credentials(failure, backend, path, report)
    reason, words = _find_reason(exc, report)
    return _build_error(reason, _describe_cause(reason, report, words), report, backend, path, folder=folder)


def _translate_by_class(exc: BaseException, backend: str, path: str | None, folder: Path | None) -> StorageError | None:
    """Return what a failure is whose class says all of it."""
    if (type(exc).__module__, type(exc).__name__) in PANICS:
        return StorageError(
            f"The store of backend {backend!r} failed inside its driver: look for a line end in credentials of the "
            "environment or of a provider; if there is none, please report this.",
            backend=backend,
            path=path,
        )
    if isinstance(exc, CredentialsError):
        return _error_of_credentials(exc.failure, backend, path)
    if isinstance(exc, SyncError):
        shown = "what was removed from it" if path is None else ascii(path)
        # A disk in a network may find out only now that it is full.
        kind = StorageFullError if exc.errno in {ENOSPC, EDQUOT} else StorageError
        cause = describe_number(exc.errno or 0)
        error = kind(
            f"The disk of {_subject(backend, folder)} did not confirm {shown} ({cause}), so a power cut might undo it: "
            "look after the disk before you trust it again.",
            backend=backend,
            path=path,
        )
        error.errno, error.cause = exc.errno or 0, cause
        return error
    if isinstance(exc, LeadsOutsideError):
        return ObjectNotFoundError(
            f"Backend {backend!r} has no object {path!a}: a link there leads out of its folder.",
            backend=backend,
            path=path,
        )
    return None


def _error_of_credentials(
    failure: Failure, backend: str, path: str | None, report: Report | None = None
) -> StorageError:
    kind = StorageUnavailableError if failure.is_outage else StoragePermissionError
    facts = report.answer if report else []
    shown = f" ({' '.join(facts)})" if facts else ""
    error = kind(f"Backend {backend!r} has no credentials: {failure.reason}{shown}.", backend=backend, path=path)
    error.cause = failure.reason
    if report is not None:
        error.status, error.code = report.status, report.code
    return error


def explain_anew(
    error: StorageError,
    reason: Reason,
    *,
    cause: str | None = None,
    region: str | None = None,
    place: str = "",
    silence: str = SILENCE,
) -> StorageError:
    """Return an error of a store for a reason, or with a fact, that was found out after it was translated.

    Args:
        error: The error as it was translated.
        reason: Why the store failed.
        cause: What is shown of the store's answer; made of its status, code and number if None.
        region: The region that the bucket is in.
        place: Where the backend is, with what separates it from the words behind it.
        silence: How long the store may be silent.
    """
    report = Report(text="", status=error.status, code=error.code, number=error.errno, region=region)
    shown = _describe_cause(reason, report, None) if cause is None else cause
    return _build_error(reason, shown, report, error.backend or "", error.path, place=place, silence=silence)


def _find_reason(exc: BaseException, report: Report) -> tuple[Reason, str | None]:
    """Return why a store or a disk failed, and what is known of it if that is no number, code or status."""
    if report.name is not None:
        return ERRNOS.get(report.name, DISK_FAILED), None
    if any(text in report.text for text in NO_BUCKET_TEXT):
        return NO_BUCKET, None
    # What is raised of an upload is how its end failed, and a 404 is then none of an object.
    if isinstance(exc, FileNotFoundError) and "uploadId=" in report.text:
        return UPLOAD_GONE, None
    found = next(((reason, words) for words, pattern, reason in WORDS if pattern.search(report.text)), (FAILED, None))
    # Whatever the machine answered, it is no answer of the store; and a checksum's code stands for a hundred mistakes.
    if found[0] in (NO_CREDENTIALS, CHECKSUM_NEEDED):
        return found
    reason = CODES.get(report.code or "")
    if reason in (None, CHANGED):  # obstore knows whether a condition was that nothing is there
        reason = next((by_class for source, by_class in KINDS if isinstance(exc, source)), reason)
    if reason is None and report.status is not None:
        reason = reason_of_status(report.status)
    if reason is NOT_SUPPORTED and "?delete" in report.text:
        reason = NO_BULK_DELETE
    elif reason is WRONG_REGION and "Generic S3 error" not in report.text:
        reason = REDIRECTED
    return reason or found[0], found[1]


def _subject(backend: str, folder: Path | None) -> str:
    return f"backend {backend!r}" if folder is None else f"backend {backend!r} in {str(folder)!r}"


def _describe_cause(reason: Reason, report: Report, words: str | None) -> str:
    if report.number is not None:
        return describe_number(report.number)
    facts = report.answer
    if report.region:
        facts.append(f"it is in {report.region}")
    if report.action:
        facts.append(f"they lack {report.action}")
    needs_more = reason in (FAILED, CLOSED_FEATURE, REFUSED, SILENT, UNREACHABLE)
    if not facts and words:
        facts.append(words)
    if not facts and needs_more:
        facts.append(report.kind)
    return " ".join(facts)


UNLISTABLE = (
    "Backend {backend!r} can't be listed: somebody stored the object {culprit!a} there, with a control character, a "
    "step such as '..', or nothing between two slashes in its name. Rename or delete it with the store's own tools, or "
    "give the backend a prefix that it is not below."
)


def _build_error(
    reason: Reason,
    cause: str,
    report: Report,
    backend: str,
    path: str | None,
    *,
    place: str = "",
    silence: str = SILENCE,
    folder: Path | None = None,
) -> StorageError:
    whole = "the bucket" if folder is None else "its folder"
    sentence = reason.sentence.format(key=whole if path is None else ascii(path), place=place)
    remedy = reason.remedy.format(settings=variable("backends", backend, ""), silence=silence)
    remedy = f": {remedy}" if remedy else ""
    subject = _subject(backend, folder)
    message = f"{subject[0].upper()}{subject[1:]} {sentence}{remedy}{f' ({cause})' if cause else ''}."
    if path is None and report.culprit is not None:
        message = UNLISTABLE.format(backend=backend, culprit=report.culprit)
    error = reason.error(message, backend=backend, path=path)
    error.status, error.errno, error.cause = report.status, report.number, cause or None
    error.code = report.code or report.name
    return error
