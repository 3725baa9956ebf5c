"""Object keys: how new ones are made, and which ones every store reads the same way."""

import re
import secrets
import unicodedata

from fastapi_filestore.errors import InvalidKeyError

MAX_KEY_BYTES = 1024
"""What S3, GCS and Azure take, in bytes of UTF-8."""
SHOWN_LENGTH = 80
_NO_PART = frozenset({"", ".", ".."})
UNLISTABLE = frozenset("\ufffe\uffff")
"""No XML can hold these, and listings are XML."""

GENERATED = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}")
"""What `generate_key` returns, but for the folder."""
GENERATED_LENGTH = 35


class HeldKey(str):
    """The key of an object that another program stored, as a row or a listing has it.

    It may hold a backslash, as the names of Windows clients' files do. Stores differ in what they read that as, but
    each reads it as it was written there.
    """

    __slots__ = ()


def generate_key(prefix: str = "") -> str:
    """Return a fresh key: opaque, unique, ASCII, and sharded so that no local folder grows too long.

    `prefix` is the folder that it is below, with its slash at the end.
    """
    token = secrets.token_hex(16)
    return f"{prefix}{token[:2]}/{token}"


def folder_of(path: str) -> str:
    """Return the folder that a generated key is below, with its slash at the end; empty for any other key."""
    return path[:-GENERATED_LENGTH] if is_generated(path) else ""


def is_generated(path: str) -> bool:
    """Tell whether a key has the form of a generated one, in any folder, so that chance gave it to nobody else."""
    is_whole = path[-GENERATED_LENGTH - 1 : -GENERATED_LENGTH] in {"", "/"}
    return is_whole and GENERATED.fullmatch(path[-GENERATED_LENGTH:]) is not None


def check_key(path: str) -> str:
    """Return a key that every store reads as the same object, or raise.

    Spaces, `%`, `?`, `#` and letters of any language are fine: a file's name may be its key. Two limits are
    local disk's own and raise there only: a name of more than about 250 bytes, and one that ends in `#` and digits.

    Raises:
        InvalidKeyError: The key is empty, longer than 1,024 bytes or not UTF-8, has a part that is empty, `.` or
            `..`, begins or ends with a slash, or holds a backslash, a control character, U+FFFE or U+FFFF.
    """
    return _checked(path, _problem(path) or _backslash_problem(path))


def check_held_key(path: str) -> str:
    """Return a key to read or delete an object by; a `HeldKey` may hold a backslash.

    Raises:
        InvalidKeyError: No store can hold an object of that key, or stores would misread it.
    """
    return _checked(path, _problem(path) or (None if isinstance(path, HeldKey) else _backslash_problem(path)))


def check_bound(path: str) -> str:
    """Return a text that keys of a listing come after, or raise `InvalidKeyError` if it can't be sent to a store."""
    return _checked(path, _character_problem(path) or _length_problem(path))


def can_be_held(path: str) -> bool:
    """Tell whether any store can hold an object of a key."""
    return _problem(path) is None


def forms_in_stores(path: str) -> set[str]:
    """Return the keys that a store may keep an object at whose key another program gave.

    Local disk and others leave out parts that are empty or `.`, and one that `..` follows; some read a backslash as a
    slash.
    """
    forms = {"/".join(_resolved(form.split("/"))) for form in (path, path.replace("\\", "/"))}
    return forms - {""}


def _resolved(parts: list[str]) -> list[str]:
    kept = list[str]()
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part not in _NO_PART:
            kept.append(part)
    return kept


def _checked(path: str, problem: str | None) -> str:
    if problem:
        raise InvalidKeyError(f"The object key {_shown(path)} {problem}.", key=path)
    return path


def _problem(path: str) -> str | None:
    if not path:
        return "is empty"
    if path.startswith("/") or path.endswith("/"):
        return "begins or ends with a slash: stores would drop it"
    if not _NO_PART.isdisjoint(path.split("/")):
        return "has a part that is empty, '.' or '..'"
    if "\\" in path and ".." in path.replace("\\", "/").split("/"):
        return "leads out of its folder, where a backslash is a slash"
    return _character_problem(path) or _length_problem(path)


def _backslash_problem(path: str) -> str | None:
    return "holds a backslash: some stores read it as a slash" if "\\" in path else None


def _character_problem(path: str) -> str | None:
    if path.isprintable():  # as every generated key is
        return None
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "holds a control character"
    if not UNLISTABLE.isdisjoint(path):
        return "holds U+FFFE or U+FFFF: with such a key in it, a bucket can't be listed"
    return None


def _length_problem(path: str) -> str | None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "can't be written as UTF-8"
    return f"is {size:,} bytes long; the limit is {MAX_KEY_BYTES:,}" if size > MAX_KEY_BYTES else None


def _shown(path: str) -> str:
    return ascii(path if len(path) <= SHOWN_LENGTH else f"{path[:SHOWN_LENGTH]}...")
