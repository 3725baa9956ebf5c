"""Write without overwriting: not every store that speaks S3 can, and some say so in odd ways."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from fastapi_filestore.errors import ObjectExistsError, StorageError
from fastapi_filestore.storage.failures.report import read_error
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.opening.address import settings_of
from fastapi_filestore.storage.obstore.opening.stores import Store

UNKNOWN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED})
"""What stores answer to a condition that they don't know."""
OTHER_REASONS = frozenset({"EntityTooSmall", "ExpiredToken", "InvalidRegion", "InvalidToken", "TokenRefreshRequired"})
"""Codes of such answers that are about something else."""


def has_conditions(store: Store) -> bool:
    """Tell whether a store is to be asked not to overwrite, or has no such condition."""
    return not isinstance(store, S3Store) or settings_of(store).get("conditional_put", "").lower() != "disabled"


async def refuse_taken(store: Store, path: str, *, backend: str) -> None:
    """Raise `ObjectExistsError` if something is at a path now: all that can be known without conditional writes."""
    with translating(backend, path), suppress(FileNotFoundError):
        await obstore.head_async(store, path)
        raise ObjectExistsError(f"Backend {backend!r} has an object {path!a} already.", backend=backend, path=path)


@contextmanager
def explaining_missing_conditions(store: Store, path: str, *, backend: str) -> Iterator[None]:
    """Say of a conditional write that fails because the store knows none that this is so, and what to set.

    Raises:
        StorageError: It is so.
    """
    try:
        yield
    except BaseError as error:
        report = read_error(error, path)
        if not isinstance(store, S3Store) or report.status not in UNKNOWN or report.code in OTHER_REASONS:
            raise
        facts = " ".join(str(fact) for fact in (report.status, report.code) if fact)
        raise StorageError(
            f"Backend {backend!r} can't be kept from overwriting {path!a}: its store refuses conditional writes "
            f"({facts}). If it knows none, set AWS_CONDITIONAL_PUT=disabled "
            "(aws_conditional_put): what is there is looked for before each such write then, and of two at the same "
            "moment the later one wins.",
            backend=backend,
            path=path,
        ) from None
