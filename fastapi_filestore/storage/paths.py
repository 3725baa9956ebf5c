"""Make object paths, and check that every store reads them the same way.

Whoever holds an upload URL may use it again until it expires. So what it stores is copied to another path before a row
takes it; but what a URL that writes once has stored nobody can change, and a row takes it where it lies. Either path
says when its URL expires: until then somebody may store there, and what is deleted there is deleted again afterwards.
"""

import re
import secrets
import time
import unicodedata

from fastapi_filestore.errors import ConfigurationError, InvalidKeyError

MAX_PATH_BYTES = 1024
"""What S3, GCS and Azure take, in bytes of UTF-8."""
SHOWN_LENGTH = 80
_NO_PART = frozenset({"", ".", ".."})
UNLISTABLE = frozenset("\ufffe\uffff")
"""No XML can hold these, and listings are XML."""

_GENERATED = re.compile(r"(.*/)?([0-9a-f]{2})/\2[0-9a-f]{30}(?:-([0-9a-f]{8}))?", re.DOTALL)
"""What `generate_path` and `generate_once_path` return."""


class HeldPath(str):
    """The path of an object that another program stored, as a row or a listing has it.

    It may hold a backslash, as the names of Windows clients' files do. Stores differ in what they read that as, but
    each reads it as it was written there.
    """

    __slots__ = ()


def generate_path(prefix: str = "") -> str:
    """Return a fresh path: opaque, unique, ASCII, and sharded so that no local folder grows too long.

    `prefix` is the folder that it is below, with its slash at the end.
    """
    token = secrets.token_hex(16)
    return f"{prefix}{token[:2]}/{token}"


def generate_once_path(prefix: str, expires_in: int) -> str:
    """Return a fresh path for a URL that writes once and expires in some seconds, and that a row takes as it is.

    `prefix` is the folder that it is below, with its slash at the end.
    """
    return f"{generate_path(prefix)}-{_moment(expires_in):08x}"


def folder_of(path: str) -> str:
    """Return the folder that a generated path is below, with its slash at the end; empty for any other path."""
    found = _GENERATED.fullmatch(path)
    return "" if found is None else found[1] or ""


def is_generated(path: str) -> bool:
    """Tell whether a path has the form of a generated one, in any folder, so that chance gave it to nobody else."""
    return _GENERATED.fullmatch(path) is not None


def is_once_path(path: str) -> bool:
    """Tell whether a path is one that a URL was signed for which writes once."""
    return upload_expiry(path) > 0 and not is_upload_path(path)


def check_path(path: str) -> str:
    """Return a path that every store reads as the same object, or raise.

    Spaces, `%`, `?`, `#` and letters of any language are fine: a file's name may be its path. Two limits are
    local disk's own and raise there only: a name of more than about 250 bytes, and one that ends in `#` and digits.

    Raises:
        InvalidKeyError: The path is empty, longer than 1,024 bytes or not UTF-8, has a part that is empty, `.` or
            `..`, begins or ends with a slash, or holds a backslash, a control character, U+FFFE or U+FFFF.
    """
    problem = _problem(path) or ("holds a backslash: some stores read it as a slash" if "\\" in path else None)
    if problem is not None:
        raise _invalid(path, problem)
    return path


def check_held_path(path: str) -> str:
    """Return a path to read or delete an object by; a `HeldPath` may hold a backslash.

    Raises:
        InvalidKeyError: No store can hold an object of that path, or stores would misread it.
    """
    if "\\" in path and not isinstance(path, HeldPath):
        return check_path(path)
    if (problem := _problem(path)) is not None:
        raise _invalid(path, problem)
    return path


def check_bound(path: str) -> str:
    """Return a text that paths of a listing come after, or raise `InvalidKeyError` if it can't be sent to a store."""
    if problem := _problem_of_text(path):
        raise _invalid(path, problem)
    return path


def can_be_held(path: str) -> bool:
    """Tell whether any store can hold an object of a path."""
    return _problem(path) is None


def forms_in_stores(path: str) -> set[str]:
    """Return the paths that a store may keep an object at whose path another program gave.

    Local disk and others leave out parts that are empty or `.`, and one that `..` follows; some read a backslash as a
    slash.
    """
    forms = set[str]()
    for form in (path, path.replace("\\", "/")):
        parts = list[str]()
        for part in form.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in _NO_PART:
                parts.append(part)
        forms.add("/".join(parts))
    return forms - {""}


def _invalid(path: str, problem: str) -> InvalidKeyError:
    shown = ascii(path if len(path) <= SHOWN_LENGTH else f"{path[:SHOWN_LENGTH]}...")
    return InvalidKeyError(f"The object key {shown} {problem}.", path=path)


def _problem(path: str) -> str | None:
    if not path:
        return "is empty"
    if path.startswith("/") or path.endswith("/"):
        return "begins or ends with a slash: stores would drop it"
    if not _NO_PART.isdisjoint(path.split("/")):
        return "has a part that is empty, '.' or '..'"
    if "\\" in path and ".." in path.replace("\\", "/").split("/"):
        return "leads out of its folder, where a backslash is a slash"
    return _problem_of_text(path)


def _problem_of_text(path: str) -> str | None:
    if not path.isprintable():  # as every generated path is
        if any(unicodedata.category(character) == "Cc" for character in path):
            return "holds a control character"
        if not UNLISTABLE.isdisjoint(path):
            return "holds U+FFFE or U+FFFF: with such a key in it, a bucket can't be listed"
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "can't be written as UTF-8"
    return f"is {size:,} bytes long; the limit is {MAX_PATH_BYTES:,}" if size > MAX_PATH_BYTES else None


UPLOADS = ".filestore-uploads"
"""The folder of what clients store by upload URLs."""
UPLOAD_GRACE = 3600
"""Seconds after the end of an upload URL in which what was stored with it may still come into a row."""
LONGEST_ONCE = 7 * 24 * 3600
"""Seconds that a URL which writes once lives at the most: as long as signatures of S3 and Google can."""
SIGNING_SECONDS = 60
"""Seconds that may pass from making such a path to the end of signing for it: a store may have to be tried first."""

_UPLOAD_PATH = re.compile(rf"{re.escape(UPLOADS)}/([0-9a-f]{{8}})[0-9a-f]{{32}}")
_LAST_MOMENT = 0xFFFFFFFF


def generate_upload_path(expires_in: int) -> str:
    """Return a fresh path, which nobody can guess, for a URL that expires in some seconds."""
    return f"{UPLOADS}/{_moment(expires_in):08x}{secrets.token_hex(16)}"


def _moment(expires_in: int) -> int:
    """Return a moment that is not before some seconds are over, in seconds since the epoch."""
    return min(int(time.time()) + 1 + expires_in, _LAST_MOMENT)


def is_upload_path(path: str) -> bool:
    """Tell whether a path is one whose upload URLs may write more than once."""
    return _UPLOAD_PATH.fullmatch(path) is not None


def upload_expiry(path: str) -> int:
    """Return when the URL of an upload path expires, in seconds since the epoch; 0 for any other path.

    One that writes once lives so long at the most that a path of its form with a later end was made by somebody else.
    """
    if (found := _UPLOAD_PATH.fullmatch(path)) is not None:
        return int(found[1], 16)
    found = _GENERATED.fullmatch(path)
    expiry = 0 if found is None or found[3] is None else int(found[3], 16)
    return expiry if expiry <= time.time() + LONGEST_ONCE + UPLOAD_GRACE else 0


def upload_end(path: str) -> int:
    """Return when nobody stores at an upload path, or takes what is there, any more; 0 for any other path."""
    expiry = upload_expiry(path)
    return expiry + UPLOAD_GRACE if expiry else 0


def leads_to_uploads(path: str) -> bool:
    """Tell whether a store may keep an object of this path where clients store by upload URLs, however it is spelt."""
    # A local disk may take capitals for small letters.
    text = path.lower()
    return UPLOADS in text and any(form.partition("/")[0] == UPLOADS for form in forms_in_stores(text))


def refuse_uploads(path: str) -> None:
    """Raise `InvalidKeyError` if a path that somebody chose is where clients store by upload URLs."""
    if leads_to_uploads(path):
        raise InvalidKeyError(
            f"The object key {path!a} is below {UPLOADS}, where clients store by upload URLs and may overwrite it: "
            "choose another path, or none, and it gets one of its own.",
            path=path,
        )


def require_upload_path(path: str, expires_in: int) -> None:
    """Raise `ConfigurationError` unless an upload URL may be signed for a path that lives for some seconds."""
    if not is_upload_path(path):
        raise ConfigurationError(
            f"No upload URL can be signed for {path!a}: whoever holds it could overwrite the object when a row has it. "
            f"Leave path= out: the file gets a path below {UPLOADS}, and `await file.confirm_async()`, or the service, "
            "copies what was stored there to a path of its own."
        )
    if time.time() + expires_in > upload_end(path):
        raise ConfigurationError(
            f"The upload URL of {path!a} can't live for {expires_in:,} seconds from now on: what is stored there is "
            "cleared away before. Sign a new FileObject."
        )


def require_once_path(path: str, expires_in: int) -> None:
    """Raise `ConfigurationError` unless a URL that writes once, and lives so long, may be signed for a path."""
    if not is_once_path(path) or time.time() + expires_in > upload_expiry(path) + SIGNING_SECONDS:
        raise ConfigurationError(
            f"No upload URL that writes once can be signed for {path!a}: such a path says when its URL ends. Leave "
            "path= out, and sign a new FileObject."
        )
