"""A server that the cases are tried with, and what it announces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "checksum-trailer",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)
"""All extensions of the protocol."""
MORE = {
    "max-size": "a largest size: Tus-Max-Size",
    "cors": "pages of other origins: preflight requests",
    "content": "no part of tus: a way to read what was uploaded",
    "expire": "no part of tus: a way to let an upload expire at once",
    **{f"checksum-{algorithm}": f"Tus-Checksum-Algorithm: {algorithm}" for algorithm in ("sha1", "sha256", "md5")},
}
"""What else a case may need, in words."""
ORIGIN = "https://page.example"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs.

    Attributes:
        url: Where uploads begin.
        headers: What every request needs, for instance Authorization.
        content: Returns the bytes of an upload by its URL, if there is a way.
        expire: Lets an upload expire at once by its URL, if there is a way.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Callable[[str], bytes] | None = None
    expire: Callable[[str], None] | None = None

    def announced(self) -> frozenset[str]:
        """Ask the server what it can do; a ValueError if nothing at the URL speaks tus 1.0."""
        answer = httpx.options(self.url, headers={**self.headers})
        if "1.0.0" not in answer.headers.get("tus-version", ""):
            raise ValueError(f"OPTIONS {self.url} is answered with {answer.status_code} and without Tus-Version: 1.0.0")
        asking = {**self.headers, "Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
        preflight = httpx.options(self.url, headers=asking)
        found = {
            *listed(answer.headers.get("tus-extension", "")),
            *(f"checksum-{algorithm}" for algorithm in listed(answer.headers.get("tus-checksum-algorithm", ""))),
        }
        more = {
            "max-size": "tus-max-size" in answer.headers,
            "cors": "access-control-allow-origin" in preflight.headers,
            "content": self.content is not None,
            "expire": self.expire is not None,
        }
        return frozenset(found | {name for name, is_there in more.items() if is_there})


@dataclass(frozen=True, slots=True)
class Target:
    """A server that the suite may run.

    Attributes:
        name: What its tests are called by.
        fixture: The fixture that runs it, a `Running`.
        announces: What it can do, of the extensions and what else a case may need.
        known_failures: Its cases that fail, by their names without the server's, and why.
    """

    name: str
    fixture: str
    announces: frozenset[str]
    known_failures: Mapping[str, str] = field(default_factory=dict)


def listed(value: str) -> list[str]:
    """Return the members of a comma-separated list."""
    return [member.strip() for member in value.split(",") if member.strip()]
