"""Check addresses of http: parsers of URLs take many that no server can be reached at."""

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

UNSAFE = frozenset(' "<>\\^`{|}')
"""Printable characters that no URL holds (RFC 3986)."""
PORT = "use a port from 1 to 65535"
_LABEL = re.compile(r"[\w-]{1,63}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


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
