"""Ask a store what obstore asks none: by a signed URL, as a browser does, or for the bucket itself, as a stranger.

The answer to a stranger may be a refusal: its headers tell the store's clock and the bucket's region all the same.
"""

import ssl
from collections.abc import Mapping
from http.client import HTTPResponse
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPErrorProcessor, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from obstore.store import LocalStore, MemoryStore

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.storage.backend import READ_TIMEOUT, Answer, SignedURL
from fastapi_filestore.storage.obstore.opening.address import BucketStore, bucket_url, environment, is_set
from fastapi_filestore.storage.obstore.opening.boto_client import CLIENT_VARIABLES
from fastapi_filestore.storage.obstore.opening.stores import Store

MOST_READ = 1024 * 1024
"""Bytes of an answer that are looked at."""


class _EveryAnswer(HTTPErrorProcessor):
    """Takes a refusal and a redirect for answers, too."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        """Pass an answer on as it is."""
        return response

    https_response = http_response


async def ask_store(store: Store, bucket: str, signed: SignedURL | None, content: bytes | None) -> Answer | None:
    """Send one request to the server of a store, through the proxy and with the certificates that it was given."""
    if isinstance(store, LocalStore | MemoryStore):
        return None
    if signed is None:
        request = Request(bucket_url(store, bucket))  # noqa: S310 - of the settings
    else:
        headers = {"Content-Type": "application/octet-stream", **signed.headers} if content is not None else {}
        request = Request(signed.url, content, headers, method=signed.method)  # noqa: S310 - the store's own
    return await THREADS.run(_ask, _opener(store), request)


def _ask(opener: OpenerDirector, request: Request) -> Answer:
    try:
        opened = opener.open(request, timeout=READ_TIMEOUT.total_seconds())
    except URLError as error:  # which says no more than its reason, in which no URL is
        raise (error.reason if isinstance(error.reason, OSError) else OSError(error.reason)) from None
    with opened as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, headers, answer.read(MOST_READ))


def _opener(store: BucketStore) -> OpenerDirector:
    options: Mapping[str, Any] = store.client_options or environment(CLIENT_VARIABLES)
    context = ssl.create_default_context()
    if certificate := options.get("root_certificate"):
        context.load_verify_locations(cadata=certificate)
    if is_set(options, "allow_invalid_certificates"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers = [HTTPSHandler(context=context), _EveryAnswer()]
    if proxy := options.get("proxy_url"):
        return build_opener(*handlers, ProxyHandler({"http": proxy, "https": proxy}))
    return build_opener(*handlers)
