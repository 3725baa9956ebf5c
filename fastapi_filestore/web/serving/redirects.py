"""The other ways to a file's bytes: a redirect to the store, or a word to the server in front (nginx)."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlsplit

from fastapi import Request, Response

from fastapi_filestore.errors import SigningUnavailableError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.disposition import disposition_of, served_type
from fastapi_filestore.storage.backend import DownloadURLs, LocalObjects, ProxiedURLs, SignedURL
from fastapi_filestore.storage.paths import check_held_key
from fastapi_filestore.web.serving.options import DownloadOptions

REDIRECT_SECONDS = 60
"""How long a client may keep a redirect, at most: a file that is replaced is gone from the old URL."""

DECIDED_HERE = ("if-match", "if-unmodified-since")
"""Conditions that the application found to hold, and that the server in front would find to fail by its own tag."""


async def response_elsewhere(
    request: Request, file: FileObject, options: DownloadOptions, headers: Mapping[str, str]
) -> Response | None:
    """Return the response that sends a client, or the server in front, to the bytes; None if they are to be streamed.

    That is so where the store has no URLs, or none whose answer is safe.
    """
    if options.way == "redirect":
        return await _redirect(file, options)
    if options.way == "accel" and not any(name in request.headers for name in DECIDED_HERE):
        return await _accel(file, options, headers)
    return None


async def _redirect(file: FileObject, options: DownloadOptions) -> Response | None:
    backend = file.backend_in_use()
    url = await _signed(file, options, backend.sign_download) if isinstance(backend, DownloadURLs) else None
    if url is None:
        return None
    seconds = min(REDIRECT_SECONDS, options.url_seconds // 2)
    kept = f"{options.visibility}, max-age={seconds}"
    return Response(status_code=307, headers={"Location": url, "Cache-Control": kept, "Referrer-Policy": "no-referrer"})


async def _accel(file: FileObject, options: DownloadOptions, headers: Mapping[str, str]) -> Response | None:
    target = _local_target(file) or await _remote_target(file, options)
    if target is None:
        return None
    place = f"{options.accel_prefix}{quote(file.backend_in_use().key, safe='')}/"
    own = {name: value for name, value in headers.items() if name != "Accept-Ranges"}  # nginx says so itself
    return Response(headers={**own, "X-Accel-Redirect": place + target})


def _local_target(file: FileObject) -> str | None:
    backend = file.backend_in_use()
    if file.path is None or not isinstance(backend, LocalObjects) or backend.folder is None:
        return None
    return quote(check_held_key(file.path))


async def _remote_target(file: FileObject, options: DownloadOptions) -> str | None:
    backend = file.backend_in_use()
    if isinstance(backend, ProxiedURLs):
        url = await _signed(file, options, backend.sign_for_proxy)
    else:
        url = await _signed(file, options, backend.sign_download) if isinstance(backend, DownloadURLs) else None
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.path.removeprefix('/')}?{parts.query}"


async def _signed(file: FileObject, options: DownloadOptions, sign: Callable[..., Awaitable[SignedURL]]) -> str | None:
    if file.path is None or not file.is_stored:
        return None
    try:
        signed = await sign(
            file.path,
            expires_in=options.url_seconds,
            content_type=served_type(file.content_type),
            content_disposition=disposition_of(file.filename, file.content_type, attachment=options.attachment),
        )
    except SigningUnavailableError:
        return None
    return signed.url
