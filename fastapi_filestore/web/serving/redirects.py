"""Send clients to the bytes of a file: by a redirect to the store, or by the server in front (nginx)."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlsplit

from fastapi import Request, Response

from fastapi_filestore.errors import SigningUnavailableError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.backend import DownloadURLs, LocalObjects, ProxiedURLs, SignedURL
from fastapi_filestore.storage.paths import check_held_path
from fastapi_filestore.web.serving.options import DownloadOptions

Sign = Callable[..., Awaitable[SignedURL]]

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
    backend = file.backend_in_use()
    if options.way == "redirect":
        url = await _sign(file, options, headers, backend.sign_download if isinstance(backend, DownloadURLs) else None)
        seconds = min(REDIRECT_SECONDS, options.url_seconds // 2)
        caching = {"Cache-Control": f"{options.visibility}, max-age={seconds}", "Referrer-Policy": "no-referrer"}
        return None if url is None else Response(status_code=307, headers={"Location": url, **caching})
    if options.way == "stream" or any(name in request.headers for name in DECIDED_HERE):
        return None
    if file.path is not None and isinstance(backend, LocalObjects) and backend.folder is not None:
        target = quote(check_held_path(file.path))
    else:
        sign: Sign | None = None
        if isinstance(backend, ProxiedURLs):
            sign = backend.sign_for_proxy
        elif isinstance(backend, DownloadURLs):
            sign = backend.sign_download
        url = await _sign(file, options, headers, sign)
        if url is None:
            return None
        parts = urlsplit(url)
        target = f"{parts.path.removeprefix('/')}?{parts.query}"
    place = f"{options.accel_prefix}{quote(backend.key, safe='')}/"
    own = {name: value for name, value in headers.items() if name != "Accept-Ranges"}  # nginx says so itself
    return Response(headers={**own, "X-Accel-Redirect": place + target})


async def _sign(
    file: FileObject, options: DownloadOptions, headers: Mapping[str, str], sign: Sign | None
) -> str | None:
    """Return the URL that a store signs for a file; None if it has no safe one."""
    if sign is None or file.path is None or not file.is_stored:
        return None
    try:
        signed = await sign(
            file.path,
            expires_in=options.url_seconds,
            content_type=headers["Content-Type"],
            content_disposition=headers["Content-Disposition"],
        )
    except SigningUnavailableError:
        return None
    return signed.url
