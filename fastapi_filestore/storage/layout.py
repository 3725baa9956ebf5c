"""In which folder generated keys lie: one that a column has for all of its files, or that it chooses for each row."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from fastapi_filestore.errors import ConfigurationError, InvalidKeyError
from fastapi_filestore.storage.keys import check_key, generate_key
from fastapi_filestore.storage.upload_paths import UPLOADS, leads_to_uploads

Values: TypeAlias = Mapping[str, Any]
"""What is known of a row, by attribute."""
Prefix: TypeAlias = str | Callable[[Values], str]
"""A folder for all files of a column, as `invoices/`, or a function that chooses one by the values of the row."""

NOTHING_KNOWN: Values = MappingProxyType({})


class UnknownValueError(KeyError):
    """A function that chooses a folder asks for a value that nobody knows yet."""


def checked_prefix(prefix: object) -> Prefix:
    """Return a prefix as columns take it: a function as it is, a folder with its slash at the end.

    Raises:
        ConfigurationError: It is neither, or no store holds objects below it.
    """
    if callable(prefix):
        return cast("Prefix", prefix)
    if not isinstance(prefix, str):
        raise ConfigurationError(
            f"StoredObject(prefix={prefix!r}): give a folder, as 'invoices/', or a function that returns one."
        )
    try:
        return _folder(prefix)
    except InvalidKeyError as error:
        raise ConfigurationError(f"StoredObject(prefix={prefix!r}): {error}") from None


def chosen_prefix(choose: Callable[[Values], str], known: Values) -> str:
    """Return the folder that a function chooses by what is known of a row.

    Raises:
        ConfigurationError: It needs what is not known yet, or returns no text.
        InvalidKeyError: What it returns leads out of its folder, or no store holds objects below it.
    """
    try:
        prefix = choose(known)
    except UnknownValueError as missing:
        (name,) = missing.args
        raise ConfigurationError(
            f"StoredObject(prefix={_name(choose)}) asks for {name!r} of the row, which is not known when its file is "
            f"stored: give it to the row with its file or before, or let the service know it, FileService(defaults="
            f"{{{name!r}: ...}})."
        ) from None
    if not isinstance(prefix, str):
        raise ConfigurationError(
            f"StoredObject(prefix={_name(choose)}) returned {prefix!r}: let it return a folder, as 'tenants/7/'."
        )
    return _folder(prefix)


def _folder(prefix: str) -> str:
    folder = prefix.removesuffix("/")
    if not folder:
        if prefix:  # of an empty name, as f"{tenant}/" makes it
            raise InvalidKeyError("The folder '/' has no name.", key=prefix)
        return ""
    check_key(folder)
    check_key(f"{folder}/{generate_key()}")  # which is longer
    if leads_to_uploads(folder):
        raise InvalidKeyError(
            f"The folder {prefix!a} is below {UPLOADS}, where clients store by upload URLs: choose another.", key=prefix
        )
    return f"{folder}/"


def _name(function: object) -> str:
    return getattr(function, "__qualname__", repr(function))
