"""Check URLs of stores, and addresses of http: parsers take many that no server can be reached at."""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

UNSAFE = frozenset(' "<>\\^`{|}')
"""Printable characters that no URL holds (RFC 3986)."""
S3_SCHEMES = ("s3", "s3a")
GOOGLE_SCHEMES = ("gs", "gcs")
AZURE_SCHEMES = ("az", "azure", "abfs", "abfss")
LOCAL_SCHEMES = ("file",)
NETWORK_SCHEMES = S3_SCHEMES + GOOGLE_SCHEMES + AZURE_SCHEMES
STORE_SCHEMES = (*NETWORK_SCHEMES, *LOCAL_SCHEMES, "memory")
STORE_URL_REMEDY = "use s3://bucket/, gs://bucket/, az://container/, file:///folder/ or memory://"
PORT = "use a port from 1 to 65535"
# A secret key may contain a slash, so it is not always in what a parser calls the network location.
_CREDENTIALS = re.compile(r":.*@|[?#]")
_LABEL = re.compile(r"[\w-]{1,63}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def problem_of_store_url(url: str) -> str | None:
    """Return what is wrong with the URL of a store, as what to do; None if it will do."""
    scheme, delimiter, place = url.partition("://")
    if "${" in url:
        return "a variable in it was not replaced; write what it stands for"
    if scheme in LOCAL_SCHEMES:
        if "?" in place or "#" in place:
            return "it has no ? and no #; options are settings of their own, and in a name write %3F and %23"
        if place.strip("/") in ("", ".") and place.startswith("/"):
            return "it is the root of all disks; name a folder, and see whether a variable in it was empty"
    elif _CREDENTIALS.search(place):
        return "give credentials in settings of their own; a URL holds none, and no ? or #"
    return None if delimiter and scheme in STORE_SCHEMES else STORE_URL_REMEDY


def problem_of_address(url: str) -> str | None:
    """Return what is wrong with an address of http or https, as what to do; None if it will do. It is not shown."""
    if (wrong := next((char for char in url if char in UNSAFE or not char.isprintable()), None)) is not None:
        return f"leave out the character {wrong!a}, which no address holds"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return PORT if "Port" in str(error) else "write an address of IPv6 as http://[::1]:9000"
    checks = (
        (parts.scheme in ("http", "https") and parts.hostname, "begin it with https:// or http:// and a host"),
        (not ("@" in parts.netloc or "?" in url or "#" in url), "leave out user, password, ? and #"),
        (port != 0, PORT),
        (_is_host(parts), "correct the host: a name as files.example.com, or an address as 192.0.2.1 or [2001:db8::1]"),
        (not _BAD_ESCAPE.search(url), "write % as %25 where it is no escape"),
    )
    return next((remedy for is_fine, remedy in checks if not is_fine), None)


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    labels = host.removesuffix(".").split(".")
    try:
        if "[" in parts.netloc:
            IPv6Address(host)
        elif labels[-1].isdecimal():
            IPv4Address(host)
    except ValueError:
        return False
    return "[" in parts.netloc or all(map(_LABEL.fullmatch, labels))
