"""Make object paths, choose their folders, and check that every store reads them the same way.

Whoever holds an upload URL may use it again until it expires. So what lies here is copied to another path before a row
takes it. The path says when its URL expires: until then an audit takes nothing for an orphan.
"""

import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from inspect import isasyncgenfunction, isawaitable, iscoroutine, iscoroutinefunction, isgeneratorfunction, signature
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from fastapi_filestore.errors import ConfigurationError, FilestoreError, InvalidKeyError

MAX_PATH_BYTES = 1024
"""What S3, GCS and Azure take, in bytes of UTF-8."""
SHOWN_LENGTH = 80
_NO_PART = frozenset({"", ".", ".."})
UNLISTABLE = frozenset("\ufffe\uffff")
"""No XML can hold these, and listings are XML."""

GENERATED = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}")
"""What `generate_path` returns, but for the folder."""
GENERATED_LENGTH = 35


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


def folder_of(path: str) -> str:
    """Return the folder that a generated path is below, with its slash at the end; empty for any other path."""
    return path[:-GENERATED_LENGTH] if is_generated(path) else ""


def is_generated(path: str) -> bool:
    """Tell whether a path has the form of a generated one, in any folder, so that chance gave it to nobody else."""
    is_whole = path[-GENERATED_LENGTH - 1 : -GENERATED_LENGTH] in {"", "/"}
    return is_whole and GENERATED.fullmatch(path[-GENERATED_LENGTH:]) is not None


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


Values: TypeAlias = Mapping[str, Any]
"""What is known of a row, by attribute."""
Prefix: TypeAlias = str | Callable[[Values], str]
"""A folder for all files of a column, as `invoices/`, or a function that chooses one by the values of the row."""

NOTHING_KNOWN: Values = MappingProxyType({})
PLACEHOLDERS: Final = ("{", "}", "%(", "%Y", "%s", "$", "<")
"""What a text has that is meant to be filled in, and is not."""
BY_ROW: Final = "prefix=lambda row: f\"tenants/{row['tenant']}/\""
MISTAKES: Final = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, NameError)
"""What a function raises that does with a row what can't be done."""


class UnknownValueError(KeyError):
    """A function that chooses a folder asks for a value that nobody knows yet; `why`, and what to do, is a sentence."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(name, why)


class Row(Mapping[str, Any]):
    """A row as a function sees it that chooses a folder; notes what it asks for, and was not told."""

    __slots__ = ("_known", "asked", "missed")

    def __init__(self, known: Values) -> None:
        self._known, self.asked, self.missed = known, set[str](), list[str]()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self._known[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default for one that is not known."""
        if name not in self and default is None:
            self.missed.append(name)
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __format__(self, form: str) -> str:
        raise TypeError("the row itself is no name of a folder")


def check_prefix(prefix: object) -> Prefix:
    """Return a prefix as columns take it: a function as it is, a folder with its slash at the end.

    Raises:
        ConfigurationError: It is neither, or no store holds objects below it.
    """
    if callable(prefix):
        _check_function(prefix)
        return cast("Prefix", prefix)
    if not isinstance(prefix, str):
        raise ConfigurationError(
            f"StoredObject(prefix={prefix!r}): give a folder, as 'invoices/', or a function that returns one."
        )
    if any(placeholder in prefix for placeholder in PLACEHOLDERS):
        raise ConfigurationError(
            f"StoredObject(prefix={prefix!r}): a text is taken as it stands, and nothing is filled in. To choose the "
            f"folder by the row, give a function: {BY_ROW}."
        )
    try:
        return _folder(prefix)
    except InvalidKeyError as error:
        raise ConfigurationError(f"StoredObject(prefix={prefix!r}): {error}") from None


def _check_function(function: Callable[..., Any]) -> None:
    """Raise `ConfigurationError` for what can't be called with a row, or returns no text then."""
    body = getattr(function, "__call__", None)  # noqa: B004 - of an object that can be called
    kinds = (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)
    if isinstance(function, type) or any(is_kind(called) for is_kind in kinds for called in (function, body)):
        raise ConfigurationError(
            f"StoredObject(prefix={_name(function)}): a call of it returns no text, and nobody could wait for one: "
            f"give a plain function, {BY_ROW}."
        )
    try:
        signature(function).bind(NOTHING_KNOWN)
    except TypeError as error:
        raise ConfigurationError(
            f"StoredObject(prefix={_name(function)}): it is called with one argument, the values of the row ({error}): "
            f"give a function that takes them, {BY_ROW}."
        ) from None
    except ValueError:  # of one in C, which nobody can ask
        return


def choose_prefix(choose: Callable[[Values], str], known: Values, *, place: str = "") -> str:
    """Return the folder that a function chooses by what is known of a row; `place` is the attribute that it is for.

    Raises:
        ConfigurationError: It needs what is not known yet, does what can't be done, or returns no text.
        InvalidKeyError: What it returns leads out of its folder, or no store holds objects below it.
    """
    place_text = f"{f'{place}: ' if place else ''}StoredObject(prefix={_name(choose)})"
    row = Row(known)
    try:
        prefix: object = choose(row)
        if row.missed and "None" in str(prefix):
            _ = known[row.missed[0]]  # raises
    except FilestoreError:
        raise
    except UnknownValueError as missing:
        raise ConfigurationError(f"{place_text} asks for {missing.name!r} of the row, {missing.why}") from None
    except MISTAKES as error:
        raise ConfigurationError(
            f"{place_text} failed with {type(error).__name__}: {error}. What it is given is a mapping of what is known "
            f"of the row, to be read alone: {BY_ROW}."
        ) from error
    if iscoroutine(prefix):
        prefix.close()  # or Python would warn that nobody awaited it
    if not isinstance(prefix, str) or (not row.asked and any(placeholder in prefix for placeholder in PLACEHOLDERS)):
        shown = "something to be awaited" if isawaitable(prefix) else repr(prefix)
        raise ConfigurationError(f"{place_text} returned {shown}: let it return a folder, {BY_ROW}.")
    try:
        return _folder(prefix)
    except InvalidKeyError as error:
        raise InvalidKeyError(f"{place_text} returned no folder: {error}", path=error.path) from None


def _folder(prefix: str) -> str:
    folder = prefix.removesuffix("/")
    if not folder.strip():
        if prefix:  # of an empty name, as f"{tenant}/" makes it
            raise InvalidKeyError(f"The folder {prefix!r} has no name.", path=prefix)
        return ""
    check_path(folder)
    check_path(f"{folder}/{generate_path()}")  # which is longer
    if leads_to_uploads(folder):
        raise InvalidKeyError(
            f"The folder {prefix!a} is below {UPLOADS}, where clients store by upload URLs: choose another.",
            path=prefix,
        )
    return f"{folder}/"


def _name(function: object) -> str:
    return getattr(function, "__qualname__", repr(function))


UPLOADS = ".filestore-uploads"
"""The folder of what clients store by upload URLs."""
UPLOAD_GRACE = 3600
"""Seconds after the end of an upload URL in which what was stored with it may still come into a row."""

_UPLOAD_PATH = re.compile(rf"{re.escape(UPLOADS)}/([0-9a-f]{{8}})[0-9a-f]{{32}}")
_LAST_MOMENT = 0xFFFFFFFF


def generate_upload_path(expires_in: int) -> str:
    """Return a fresh path, which nobody can guess, for a URL that expires in some seconds."""
    expires = min(int(time.time()) + 1 + expires_in, _LAST_MOMENT)
    return f"{UPLOADS}/{expires:08x}{secrets.token_hex(16)}"


def is_upload_path(path: str) -> bool:
    """Tell whether a path is one that upload URLs are signed for."""
    return _UPLOAD_PATH.fullmatch(path) is not None


def upload_expiry(path: str) -> int:
    """Return when the URL of an upload path expires, in seconds since the epoch; 0 for any other path."""
    found = _UPLOAD_PATH.fullmatch(path)
    return 0 if found is None else int(found[1], 16)


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
    if time.time() + expires_in > upload_expiry(path) + UPLOAD_GRACE:
        raise ConfigurationError(
            f"The upload URL of {path!a} can't live for {expires_in:,} seconds from now on: what is stored there is "
            "cleared away before. Sign a new FileObject."
        )
