"""Log events: each with a name that never changes, then its facts as key=value; the same in `extra`.

What was asked for, where there is a request, belongs to the facts. No value holds a secret, a signed URL, or what a
statement wrote into the database, and none breaks the line.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol
from weakref import ref

from fastapi_filestore.errors import FilestoreError

LOGGER: Final = "fastapi_filestore"
LONGEST: Final = 2000
"""Characters of a value in the message; `extra` has all of it."""
MOST_SHOWN: Final = 10
"""Items of a list in the message; `extra` has all of them."""
LONGEST_CAUSE: Final = 500
"""Characters of what another library says."""
MOST_CAUSES: Final = 5

_log = logging.getLogger(LOGGER)

_SECRET = re.compile(
    r"(://)[^\s/@:]*:[^\s/@]*@"
    r"|((?:\b|_)(?:sig|signature|credential|security-token|token|password|passwd|pwd|secret|accountkey|access_key|"
    r"sharedaccesssignature)=)(?:\"[^\"]*\"|'[^']*'|[^\s&\"']+)",
    re.IGNORECASE,
)
"""User and password of an address, and what signs a URL or stands in a connection string."""
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
"""Texts that need no quotes: printable ASCII but for blanks, quotes, equals signs and backslashes."""
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_QUOTES_VALUES: Final = frozenset({"IntegrityError", "DataError", "InternalError", "NotSupportedError"})
"""Errors of databases whose text quotes what was written, or what a trigger chose to say of it."""


class RequestFacts(Protocol):
    """A request as a log names it."""

    def facts(self) -> Mapping[str, str]:
        """Return its method, its path and, where it has one, its id."""
        ...


_request: "ContextVar[ref[RequestFacts] | None]" = ContextVar("fastapi_filestore_request", default=None)
"""The request that is answered; weak, since a task that outlives it keeps the context that it was made in."""


def note_request(request: RequestFacts) -> None:
    """Name a request in what is logged from here on in its task, for as long as somebody else holds on to it."""
    _request.set(ref(request))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is logged: its name, how serious it is, what it means, and what to do about it."""

    name: str
    level: int
    meaning: str
    remedy: str | None = None

    @property
    def title(self) -> str:
        """The name as it stands at the beginning of the line."""
        return f"{LOGGER}.{self.name}"

    def tell(self, error: BaseException | str | None = None, *, with_traceback: bool = False, **facts: object) -> None:
        """Log that it happened.

        Args:
            error: What went wrong, as an error, whose causes are facts as well, or in words.
            with_traceback: Say where in the code as well, unless a text in the traceback could hold a statement.
            facts: What else there is to know. None is left out.
        """
        if not _log.isEnabledFor(self.level):
            return
        described = dict[str, object](error=error)
        if isinstance(error, BaseException):
            texts = list[str]()
            for link in islice(_linked_errors(error, "__cause__"), 1 + MOST_CAUSES):
                texts.append(describe_error(link))
                if _has_statement(link):  # so have its causes
                    break
            described = {"error": texts[0], "cause": " < ".join(texts[1:]) or None}
        request = None if (noted := _request.get()) is None else noted()
        facts = {**facts, **described, **({} if request is None else request.facts())}
        if self.remedy is not None:
            facts.setdefault("remedy", self.remedy)
        known = {name: redact(value) for name, value in facts.items() if value is not None}
        line = " ".join(f"{name}={quote(value)}" for name, value in known.items())
        where = error if with_traceback and isinstance(error, BaseException) else None
        if where and any(map(_has_statement, _linked_errors(where, "__cause__", "__context__"))):
            where = None
        # The name alone is the template, by which collectors of errors group what they are sent.
        template, args = (self.title + " %s", (line,)) if line else (self.title, ())
        _log.log(self.level, template, *args, extra=known, exc_info=where, stacklevel=2)


# -- errors ------------------------------------------------------------------------------------------------


def describe_error(error: BaseException) -> str:
    """Return the class and the text of an error: of a database's without the statement and its values."""
    name = type(error).__name__
    if isinstance(error, FilestoreError):
        return f"{name}: {error}"
    if not (_has_statement(error) or hasattr(error, "sqlstate") or hasattr(error, "sqlite_errorname")):
        return f"{name}: {_first_line(error)}".removesuffix(": ")
    cause: BaseException = getattr(error, "orig", None) or error
    if state := getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None):
        name += f" ({state})"
    kinds = {family.__name__ for family in (*type(error).__mro__, *type(cause).__mro__)}
    is_quoting = bool(kinds & _QUOTES_VALUES) or (cause is error and _has_statement(error))
    return name if is_quoting else f"{name}: {_first_line(cause)}"


def _first_line(error: BaseException) -> str:
    # Later lines are details with values (PostgreSQL), or the insides of a driver (obstore).
    return str(error).strip().partition("\n")[0][:LONGEST_CAUSE]


def _has_statement(error: BaseException) -> bool:
    """Tell whether an error is one of SQLAlchemy's, whose text has the statement and its values."""
    return hasattr(error, "statement")


def _linked_errors(error: BaseException, *links: str) -> Iterator[BaseException]:
    """Yield an error and those that some of its attributes lead to, each once."""
    pending, known = [error], set[int]()
    while pending:
        error = pending.pop()
        if id(error) not in known:
            known.add(id(error))
            yield error
            pending += [other for link in links if (other := getattr(error, link)) is not None]


# -- values ------------------------------------------------------------------------------------------------


def redact(value: object) -> object:
    """Return a value without passwords and signatures: a number as it is, anything else as text."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return [redact(str(item)) for item in value]
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}[redacted]{'@' if found[1] else ''}", str(value))


def quote(value: object) -> str:
    """Return a value as it stands behind its name and an equals sign: on one line, quoted where it must be."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if isinstance(value, list):
        more = len(value) - MOST_SHOWN
        text = ", ".join(map(str, value[:MOST_SHOWN])) + (f" and {more} more" if more > 0 else "")
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    if _PLAIN.fullmatch(text):
        return text
    escaped = list[str]()
    for character in text:
        code = ord(character)
        if character in _ESCAPES:
            escaped.append(_ESCAPES[character])
        elif character.isprintable():
            escaped.append(character)
        else:  # it moves a terminal's cursor, ends a line, or turns the direction of what follows
            escaped.append(f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")  # noqa: PLR2004 - four digits
    return f'"{"".join(escaped)}"'
