"""Choose the folder of the files of a column: one for all, or one for each row by what is known of it."""

from collections.abc import Callable, Iterator, Mapping
from inspect import isasyncgenfunction, isawaitable, iscoroutine, iscoroutinefunction, isgeneratorfunction, signature
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from fastapi_filestore.errors import ConfigurationError, FilestoreError, InvalidKeyError
from fastapi_filestore.storage.paths import UPLOADS, check_path, generate_path, leads_to_uploads

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
