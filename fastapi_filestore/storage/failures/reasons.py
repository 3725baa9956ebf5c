"""Say why a store or a disk fails: in our words, as which error, and what to do about it.

The one table of reasons, from the numbers of this system's errors, the words of drivers and the statuses of HTTP; the
codes of stores are in `store_codes`. docs/problems.md is generated from both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi_filestore.errors import (
    BucketNotFoundError,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.backend import READ_TIMEOUT

SILENCE: Final = f"{READ_TIMEOUT.seconds} seconds unless set"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a backend failed.

    Attributes:
        error: What is raised.
        sentence: What operators read behind the backend's name; `{key}` is the object, or the bucket, `{place}` where
            the backend is.
        remedy: What they can do about it; empty where there is nothing to do. `{settings}` is what variables of the
            backend begin with, `{silence}` how long it may be silent.
    """

    error: type[StorageError]
    sentence: str
    remedy: str = ""


NO_OBJECT = Reason(ObjectNotFoundError, "has no object {key}")
NO_BUCKET = Reason(
    BucketNotFoundError, "points to {place}a bucket or container that does not exist", "create it, or correct the URL"
)
EXISTS = Reason(ObjectExistsError, "has an object {key} already")
CHANGED = Reason(PreconditionFailedError, "refused the request for {key}", "the object changed meanwhile")
NO_RANGE = Reason(RangeNotSatisfiableError, "has no such range of {key}")
BAD_KEY = Reason(InvalidKeyError, "can't hold an object named {key}")
REFUSED = Reason(StoragePermissionError, "refused access to {key}", "check the credentials and what they permit")
SILENT = Reason(
    StorageTimeoutError,
    "did not answer in time for {key}",
    "see whether the store hangs or the network is slow; {settings}TIMEOUT (`timeout` in code) says how long it may be "
    "silent, {silence}",
)
UNREACHABLE = Reason(
    StorageUnavailableError, "could not be reached for {key}", "check the endpoint and that the store is up"
)
BUSY = Reason(
    StorageUnavailableError,
    "is too busy for {key}",
    "it goes on by itself; if it does not, send less at once, or ask for a higher limit",
)
STORE_FAILED = Reason(
    StorageUnavailableError,
    "failed inside the store for {key}",
    "look into the store's own log, a full disk is a frequent cause, and try again later",
)
BROKEN_OFF = Reason(
    StorageUnavailableError, "broke the connection off for {key}", "look at the store, and at what is in front of it"
)
FULL = Reason(StorageFullError, "has no room for {key}", "free some, or give it more: its disk is full")
QUOTA = Reason(
    StorageFullError, "has no room for {key}", "its quota is used up: delete what is not needed, or raise the quota"
)
TOO_LARGE = Reason(
    StorageFullError,
    "can't hold an object as large as {key}",
    "raise the limit of the store, of a proxy in front of it, or of this process (ulimit -f)",
)
WRONG_REGION = Reason(
    StorageError,
    "is in another region, or at another address, than it is asked at for {key}",
    "set AWS_REGION to the region of the bucket, or correct the endpoint",
)
NOT_SUPPORTED = Reason(
    StorageError,
    "does not know a feature that {key} needs",
    "turn it off: AWS_CONDITIONAL_PUT=disabled for writes that must not overwrite, AWS_DISABLE_TAGGING=true, and no "
    "AWS_CHECKSUM_ALGORITHM and no AWS_SERVER_SIDE_ENCRYPTION",
)
NO_BULK_DELETE = Reason(
    StorageError, "can't delete several objects with one request", "set AWS_DISABLE_BULK_DELETE=true"
)
CLOSED_FEATURE = Reason(
    StorageError,
    "was told not to use a feature that {key} needs",
    "leave AWS_CONDITIONAL_PUT and AWS_COPY_IF_NOT_EXISTS unset, or store without if_absent",
)
NO_CREDENTIALS = Reason(
    StoragePermissionError,
    "has no credentials for {key}, and this machine gives it none",
    "set those of the backend, or give the machine, container or service account a role",
)
NO_ETAG_WORDS: Final = "no entity tag"
NO_ETAG = Reason(
    StorageError,
    "answered without the entity tag of {key}",
    "let the store, and every proxy in front of it, send the ETag header, and see that the endpoint is a store's",
)
ODD_ANSWER = Reason(
    StorageError,
    "gave an answer for {key} that is none of such a store",
    "see that the endpoint is a store's, and no web page or proxy",
)
REDIRECTED = Reason(
    StorageError, "sends {key} elsewhere", "correct the endpoint: its scheme, host, or the region in it"
)
REQUEST_REFUSED = Reason(
    StorageError, "refused a request for {key} as wrong", "check the endpoint, the bucket's name and the options"
)
NO_METHOD = Reason(
    StorageError, "does not take such requests for {key}", "see that the endpoint is a store's, and its URL complete"
)
CHECKSUM_NEEDED = Reason(
    StorageError,
    "wants a checksum of {key}, as buckets with Object Lock do",
    "set AWS_CHECKSUM_ALGORITHM=SHA256",
)
NEVER_STORED = Reason(
    StorageUnavailableError,
    "said that it stored {key}, without its entity tag, and has no such object",
    "it failed while it answered: look into the store's own log, and try again later",
)
UPLOAD_GONE = Reason(
    StorageUnavailableError,
    "lost the parts of {key} before it was complete",
    "upload it again; see whether a lifecycle rule drops unfinished uploads too soon",
)
PROXY_LOGIN = Reason(StorageUnavailableError, "is behind a proxy that refuses {key}", "check {settings}PROXY_URL")
FAILED = Reason(StorageError, "failed for {key}", "this is all that is known of it")


# -- what this system says ---------------------------------------------------------------------------

DISK_FAILED = Reason(
    StorageError,
    "failed for {key}",
    "look into the system's log and after the disk, or what is mounted there",
)
"""What any other number of an error is: it is told by the system's own words."""

_READ_ONLY = Reason(
    StoragePermissionError,
    "can't write {key}",
    "its disk is read-only: mount it for writing, and see in the system's log whether it failed before",
)
_FORBIDDEN = Reason(
    StoragePermissionError,
    "may not use {key}",
    "change the owner or permissions of its folder and files, or the user of this process",
)
_LOCKED = Reason(StoragePermissionError, "can't open {key}", "its folder is encrypted: unlock it for this process")
_FILES_OPEN = Reason(
    StorageUnavailableError,
    "could not open {key}",
    "this process has as many files open as it may: raise its limit (ulimit -n, LimitNOFILE=)",
)
_ALL_FILES_OPEN = Reason(
    StorageUnavailableError,
    "could not open {key}",
    "this machine has as many files open as it may: raise fs.file-max, or see what keeps them open",
)
_NO_MEMORY = Reason(StorageUnavailableError, "has no memory for {key}", "give the machine or container more")
_BUSY_DISK = Reason(StorageUnavailableError, "could not use {key} now", "somebody else does: try again")
_LOST_MOUNT = Reason(
    StorageUnavailableError, "lost its folder on the way to {key}", "mount it again, or see after its file server"
)
_DEFECT = Reason(
    StorageError,
    "could not read or write {key}",
    "the disk, or what it is mounted from, may be failing: look into the system's log, and save what is there",
)
_DAMAGED = Reason(StorageError, "can't read {key}", "its file system is damaged: have it checked (fsck)")
_LONG_NAME = Reason(
    InvalidKeyError, "can't hold an object named {key}", "a name, or the whole path, is too long for it"
)
_BAD_NAME = Reason(InvalidKeyError, "can't hold an object named {key}", "its disk has no such names")
FILE_IN_WAY = Reason(
    InvalidKeyError, "can't hold an object named {key}", "a file is where a folder would be, or a folder where the file"
)
_CIRCLE = Reason(StorageError, "can't get to {key}", "links lead in a circle, or through too many others: remove them")
_NO_SUCH_CALL = Reason(
    StorageError,
    "can't do what {key} needs",
    "its disk, or what is mounted there, can't: use another folder, or an object store",
)
_NETWORK = UNREACHABLE

ERRNOS: Final[Mapping[str, Reason]] = {
    "ENOENT": NO_OBJECT,
    "EEXIST": EXISTS,
    "ENOSPC": FULL,
    "EDQUOT": QUOTA,
    "EFBIG": TOO_LARGE,
    "EROFS": _READ_ONLY,
    "EACCES": _FORBIDDEN,
    "EPERM": _FORBIDDEN,
    **dict.fromkeys(("ENOKEY", "EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED"), _LOCKED),
    "EMFILE": _FILES_OPEN,
    "ENFILE": _ALL_FILES_OPEN,
    **dict.fromkeys(("ENOMEM", "ENOBUFS"), _NO_MEMORY),
    **dict.fromkeys(("EAGAIN", "EBUSY", "EDEADLK", "EDEADLOCK", "EINTR", "ENOLCK", "ETXTBSY"), _BUSY_DISK),
    **dict.fromkeys(("ESTALE", "ENODEV", "ENXIO", "EREMOTEIO", "ENOLINK", "ENOTCONN", "ESHUTDOWN"), _LOST_MOUNT),
    **dict.fromkeys(("EIO", "ENODATA", "ENOMEDIUM"), _DEFECT),
    **dict.fromkeys(("EUCLEAN", "EBADMSG"), _DAMAGED),
    "ENAMETOOLONG": _LONG_NAME,
    "EILSEQ": _BAD_NAME,
    **dict.fromkeys(("ENOTDIR", "EISDIR", "ENOTEMPTY"), FILE_IN_WAY),
    "ELOOP": _CIRCLE,
    **dict.fromkeys(("EMLINK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EXDEV"), _NO_SUCH_CALL),
    "ETIMEDOUT": SILENT,
    **dict.fromkeys(
        (
            "EADDRNOTAVAIL",
            "ECONNABORTED",
            "ECONNREFUSED",
            "EHOSTDOWN",
            "EHOSTUNREACH",
            "ENETDOWN",
            "ENETRESET",
            "ENETUNREACH",
            "ENONET",
        ),
        _NETWORK,
    ),
    **dict.fromkeys(("ECONNRESET", "EPIPE"), BROKEN_OFF),
}
"""By the name of the number: of a local disk, and of the network between us and a store."""


# -- what drivers say in words -----------------------------------------------------------------------

_NO_HOST = Reason(
    StorageUnavailableError,
    "could not be reached for {key}",
    "its endpoint's host is not known: check the name, and DNS",
)
_UNTRUSTED = Reason(
    StorageError,
    "was not asked for {key}",
    "the certificate of its endpoint is not trusted, not for this host, or expired: renew it, or give its authority "
    "with {settings}ROOT_CERTIFICATE",
)
_NO_TLS = Reason(
    StorageError,
    "was not asked for {key}",
    "its endpoint speaks no TLS: make it one of http if it is to be so, or correct its port",
)
_NO_PLAIN = Reason(
    StorageError,
    "was not asked for {key}",
    "its endpoint is one without TLS: use https, or allow it with AWS_ALLOW_HTTP (AZURE_, GOOGLE_)",
)

WORDS: Final[tuple[tuple[str, re.Pattern[str], Reason], ...]] = (
    (
        "no credentials",
        re.compile(r"//(169\.254\.\d+\.\d+|\[fd00:ec2::254\]|metadata\.google\.internal)\b"),
        NO_CREDENTIALS,
    ),
    ("unknown host", re.compile(r"dns error|failed to lookup address"), _NO_HOST),
    ("certificate", re.compile(r"invalid peer certificate|InvalidCertificate\("), _UNTRUSTED),
    ("no TLS", re.compile(r"InvalidMessage\(|received corrupt message|received fatal alert|AlertReceived"), _NO_TLS),
    ("no TLS", re.compile(r"BadScheme|URL scheme is not allowed"), _NO_PLAIN),
    (
        "checksum",
        re.compile(r"Content-MD5 OR x-amz-checksum|Content-MD5 (HTTP )?header is required", re.IGNORECASE),
        CHECKSUM_NEEDED,
    ),
    (NO_ETAG_WORDS, re.compile(r"MissingEtag|ETag Header missing"), NO_ETAG),
    (
        "odd answer",
        re.compile(r"Unable to extract metadata|invalid (list|multipart) response|DeserializeError|Got invalid"),
        ODD_ANSWER,
    ),
    ("redirect", re.compile(r"error following redirect|TooManyRedirects"), REDIRECTED),
    ("range", re.compile(r"StartTooLarge|Inconsistent \{|InvalidRange|416 Range"), NO_RANGE),
    ("timeout", re.compile(r"TimedOut|timed out|deadline has elapsed|kind: Timeout", re.IGNORECASE), SILENT),
    ("broken off", re.compile(r"IncompleteMessage|IncompleteBody|kind: Interrupted|connection closed"), BROKEN_OFF),
    ("name", re.compile(r"InvalidFilename|Filenames containing trailing"), BAD_KEY),
    ("a file in the way", re.compile(r"kind: (NotADirectory|IsADirectory)"), FILE_IN_WAY),
    ("read-only", re.compile(r"kind: ReadOnlyFilesystem"), _READ_ONLY),
    ("permission", re.compile(r"kind: PermissionDenied"), _FORBIDDEN),
    ("no connection", re.compile(r"HTTP error|error sending request|kind: Connect\b"), UNREACHABLE),
    ("told not to", re.compile(r"conditional put is disabled|not yet implemented"), CLOSED_FEATURE),
)
"""What a text says where no store has answered with a code, nor a system with a number; the first that fits."""

STATUSES: Final[Mapping[int, Reason]] = {
    301: WRONG_REGION,
    307: WRONG_REGION,
    308: WRONG_REGION,
    400: REQUEST_REFUSED,
    401: REFUSED,
    403: REFUSED,
    404: NO_OBJECT,
    405: NO_METHOD,
    407: PROXY_LOGIN,
    408: SILENT,
    409: CHANGED,
    412: CHANGED,
    413: TOO_LARGE,
    416: NO_RANGE,
    429: BUSY,
    501: NOT_SUPPORTED,
    502: UNREACHABLE,
    503: STORE_FAILED,
    504: SILENT,
    507: FULL,
}
"""By the status of an answer without a code that is known."""


def reason_of_status(status: int) -> Reason:
    """Return what a status means that no code explains."""
    ranges = {3: REDIRECTED, 4: REQUEST_REFUSED, 5: STORE_FAILED}
    return STATUSES.get(status) or ranges.get(status // 100, ODD_ANSWER)
