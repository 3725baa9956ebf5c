"""Make a container in the account of AZURE_STORAGE_CONNECTION_STRING; one that exists is fine.

It needs nothing but Python: `python azure_container.py NAME`.
"""

import base64
import hashlib
import hmac
import os
import sys
from email.utils import formatdate
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

API_VERSION = "2024-11-04"


def make_container(name: str, *, connection_string: str) -> None:
    """Make the container; an account with an endpoint of its own is needed."""
    account = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    url = f"{account['BlobEndpoint']}/{name}?restype=container"
    headers = {"Content-Length": "0", "x-ms-date": formatdate(usegmt=True), "x-ms-version": API_VERSION}
    headers["Authorization"] = _authorization(url, headers, account["AccountName"], account["AccountKey"])
    try:
        urlopen(Request(url, method="PUT", headers=headers), timeout=30).close()  # noqa: S310 - the account's own address
    except HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            raise


def _authorization(url: str, headers: dict[str, str], name: str, key: str) -> str:
    # "Authorize with Shared Key": the method, eleven standard headers (all empty here), Azure's own, the resource.
    own = [f"{header}:{headers[header]}" for header in ("x-ms-date", "x-ms-version")]
    text = "\n".join(["PUT", *[""] * 11, *own, f"/{name}{urlsplit(url).path}", "restype:container"])
    digest = hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)
    return f"SharedKey {name}:{base64.b64encode(digest).decode()}"


if __name__ == "__main__":
    variable = "AZURE_STORAGE_CONNECTION_STRING"
    make_container(sys.argv[1], connection_string=os.environ[variable])  # noqa: TID251 - no part of the library
