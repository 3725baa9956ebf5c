"""Uploads that killed processes left unfinished: S3 keeps their parts for ever, and so does a local folder.

Azure and Google Cloud drop them by themselves. obstore can't list them, so S3 is asked through boto3.
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from itertools import islice
from os.path import commonprefix
from pathlib import Path
from typing import Any

from obstore.store import S3Store

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import (
    ConfigurationError,
    StorageError,
    StoragePermissionError,
    StorageUnavailableError,
)
from fastapi_filestore.events import UNFINISHED_UPLOADS_UNSEEN
from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.local.delete import remove_files
from fastapi_filestore.storage.local.durability import DISK_THREADS
from fastapi_filestore.storage.local.folder import STAGED, LocalFolder, folder_of, is_staged, name_of
from fastapi_filestore.storage.local.open_folder import OpenFolder
from fastapi_filestore.storage.obstore.opening.boto_client import bucket_client

PAGE = 1000


async def uploads_of(store: object, root: Path | None, *, backend: str) -> AsyncIterator[UnfinishedUpload]:
    """Iterate the unfinished uploads of a store; none where it drops them by itself."""
    if isinstance(store, S3Store):
        found = _in_bucket(store, backend)
    elif root is not None:
        found = _in_thread(_staged(root))
    else:
        return
    async for upload in found:
        yield upload


async def abort(store: object, folder: LocalFolder | None, upload: UnfinishedUpload, *, backend: str) -> None:
    """Drop the parts of an upload."""
    if isinstance(store, S3Store):
        await _abort_in_bucket(store, upload, backend)
    elif folder is not None:
        with translated(backend):
            place, name = folder_of(upload.upload_id), name_of(upload.upload_id)
            await finish(DISK_THREADS.submit(partial(remove_files, folder, place, [name])))


async def drop_unfinished(store: object, folder: LocalFolder | None, paths: Collection[str], *, backend: str) -> None:
    """Drop what unfinished uploads left of some keys.

    What S3 lets nobody see is left: it is told once in the log, and there are lifecycle rules for it.
    """
    if isinstance(store, S3Store):
        try:
            await _abort_some(store, frozenset(paths), backend)
        except ConfigurationError:  # without boto3
            return
        except StoragePermissionError as error:
            UNFINISHED_UPLOADS_UNSEEN.tell(error, backend=backend)
    elif folder is not None:
        with translated(backend):
            await THREADS.run(_remove_staged, folder, paths)


async def remains_of(folder: LocalFolder | None, paths: Collection[str], *, backend: str) -> Mapping[str, list[str]]:
    """Return the names in a folder that unfinished uploads to some keys may have left."""
    if folder is None:
        return {}
    with translated(backend):
        return await THREADS.run(_names_of_staged, folder, paths)


# -- S3 ------------------------------------------------------------------------------------------------------


async def _abort_some(store: S3Store, paths: Collection[str], backend: str) -> None:
    # One listing of those that begin alike; each key asked for alone would be a request for each.
    below = commonprefix(list(paths))  # noqa: RUF071 - a prefix of S3 is of characters, too
    async for upload in _in_bucket(store, backend, below=below):
        if upload.path in paths:
            await _abort_in_bucket(store, upload, backend)


async def _in_bucket(store: S3Store, backend: str, *, below: str = "") -> AsyncIterator[UnfinishedUpload]:
    with _refusals(backend):
        async with bucket_client(store, backend=backend) as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=store.config.get("bucket"), Prefix=_prefix(store) + below
            )
            found = (upload for page in pages for upload in page.get("Uploads", ()))
            async for upload in _in_thread(found):
                path = upload["Key"].removeprefix(_prefix(store))
                yield UnfinishedUpload(path, upload["UploadId"], upload["Initiated"])


async def _abort_in_bucket(store: S3Store, upload: UnfinishedUpload, backend: str) -> None:
    with _refusals(backend):
        async with bucket_client(store, backend=backend) as client:
            with suppress(client.exceptions.NoSuchUpload):
                await THREADS.run(
                    client.abort_multipart_upload,
                    Bucket=store.config.get("bucket"),
                    Key=_prefix(store) + upload.path,
                    UploadId=upload.upload_id,
                )


def _prefix(store: S3Store) -> str:
    return f"{store.prefix.strip('/')}/" if store.prefix else ""


@contextmanager
def _refusals(backend: str) -> Iterator[None]:
    """Turn boto3's errors into ours; the text of theirs may name hosts and keys."""
    try:
        yield
    except (ConfigurationError, StorageError):
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("botocore", "boto3")):
            raise
        raise _refusal(error, backend) from None


def _refusal(error: Exception, backend: str) -> StorageError:
    # Of an error inside the HTTP client it is there, and None.
    answer: dict[str, Any] = getattr(error, "response", None) or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or "Credential" in type(error).__name__:
        return StoragePermissionError(
            f"Backend {backend!r} refused to show its unfinished uploads: permit s3:ListBucketMultipartUploads and "
            "s3:AbortMultipartUpload.",
            backend=backend,
        )
    return StorageUnavailableError(
        f"Backend {backend!r} could not list its unfinished uploads ({type(error).__name__}).", backend=backend
    )


# -- a local folder ----------------------------------------------------------------------------------------------


def _staged(root: Path) -> Iterator[UnfinishedUpload]:
    # obstore writes to such files and renames them once they are complete.
    for folder, _, names in os.walk(root):
        for name in names:
            if is_staged(name):
                file = Path(folder) / name
                # One that is gone was completed meanwhile.
                with suppress(FileNotFoundError):
                    started = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
                    place = file.relative_to(root).as_posix()
                    yield UnfinishedUpload(place.rpartition(STAGED)[0], place, started, place)


def _remove_staged(place: LocalFolder, paths: Iterable[str]) -> None:
    for _, folder, name in _staged_of(place, paths):
        folder.remove(name)


def _names_of_staged(place: LocalFolder, paths: Iterable[str]) -> dict[str, list[str]]:
    names = defaultdict[str, list[str]](list)
    for path, _, name in _staged_of(place, paths):
        names[path].append("/".join(filter(None, (folder_of(path), name))))
    return names


def _staged_of(place: LocalFolder, paths: Iterable[str]) -> Iterator[tuple[str, OpenFolder, str]]:
    """Yield the staged files of some keys, each with its key and its open folder; each folder is read once."""
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        wanted[folder_of(path)][name_of(path)] = path
    for below, keys in wanted.items():
        with suppress(FileNotFoundError, NotADirectoryError, LeadsOutsideError), place.enter(below) as folder:
            for name in folder.names():
                if is_staged(name) and (key := keys.get(name.rpartition(STAGED)[0])):
                    yield key, folder, name


async def _in_thread(items: Iterable[Any]) -> AsyncIterator[Any]:
    source = iter(items)
    while batch := await THREADS.run(lambda: list(islice(source, PAGE))):
        for item in batch:
            yield item
