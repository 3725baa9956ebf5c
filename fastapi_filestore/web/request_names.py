"""Name a request in the log: its method, its path without a token, and the id others know it by."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from fastapi_filestore.logs import note_request
from fastapi_filestore.web.paths import SIGNED_PATH

ACCESS_LOG = "uvicorn.access"
"""Where uvicorn, also under gunicorn, writes the path of each request."""

_TOKEN = re.compile(rf"({SIGNED_PATH}[/?])[^\s#\"']+|([?&]sig=)[^\s&#\"']+")
"""Whatever follows the route, however a client spells it, and a `sig` elsewhere: a store's own URL may have one."""


class RedactSignedURLs(logging.Filter):
    """Takes the tokens of signed URLs out of what is logged; give it to the access log of any other server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it through."""
        record.msg = _redact(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_redact, record.args))
        return True


def _redact(value: object) -> object:
    return without_token(value) if isinstance(value, str) else value


def without_token(text: str) -> str:
    """Return what was said of a request without the token of a signed URL."""
    return _TOKEN.sub(r"\1\2[redacted]", text)


@contextmanager
def redacting_access_log() -> Iterator[None]:
    """Keep signed URLs out of the access log while the block runs."""
    log, redaction = logging.getLogger(ACCESS_LOG), RedactSignedURLs()
    log.addFilter(redaction)
    try:
        yield
    finally:
        log.removeFilter(redaction)


_NOTED: Final = "fastapi_filestore.request"
_HEADER: Final = b"x-request-id"
_IN_STATE: Final = ("request_id", "correlation_id", "trace_id")
"""Where middlewares that give requests their ids put them."""
_SANE: Final = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
"""An id is a name, and no text of a stranger's."""


@dataclass(slots=True, weakref_slot=True, eq=False, repr=False)
class RequestName:
    """Knows of a request what the log says of it; the request holds it, so that it is gone with it."""

    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]]
    state: Mapping[str, object]

    def facts(self) -> Mapping[str, str]:
        """Return its method, its path and, where it has one, its id: that of the application, or the client's."""
        facts = {"method": self.method, "path": without_token(self.path or "/")}
        given = next((self.state[name] for name in _IN_STATE if self.state.get(name) is not None), None)
        sent = next((value.decode("latin-1") for name, value in self.headers if name.lower() == _HEADER), None)
        ids = [str(found) for found in (given, sent) if found is not None]
        sane = next(filter(_SANE.fullmatch, ids), None)
        return facts if sane is None else {**facts, "request_id": sane}


def name_request(scope: Scope) -> None:
    """Say in the log which request it is about, from here on, in this task."""
    name = scope.get(_NOTED)
    if name is None:
        method, path, headers = scope.get("method", "WEBSOCKET"), scope.get("path", ""), scope.get("headers", ())
        name = scope[_NOTED] = RequestName(method, path, headers, scope.setdefault("state", {}))
    note_request(name)
