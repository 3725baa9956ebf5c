"""What a request is called in the log: its method, its path without a token, and the id that others know it by."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.types import Scope

from fastapi_filestore.logs import note_request
from fastapi_filestore.web.redaction import without_token

_NOTED: Final = "fastapi_filestore.request"
_HEADER: Final = b"x-request-id"
_IN_STATE: Final = ("request_id", "correlation_id", "trace_id")
"""Where middlewares that give requests their ids put them."""
_SANE: Final = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
"""An id is a name, and no text of a stranger's."""


class RequestName:
    """Knows of a request what the log says of it; the request holds it, so that it is gone with it."""

    __slots__ = ("__weakref__", "_headers", "_method", "_path", "_state")

    def __init__(self, scope: Scope) -> None:
        self._method: str = scope.get("method", "WEBSOCKET")
        self._path: str = scope.get("path", "")
        self._headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
        self._state: Mapping[str, Any] = scope.setdefault("state", {})

    def facts(self) -> Mapping[str, str]:
        """Return its method, its path and, where it has one, its id: that of the application, or the client's."""
        facts = {"method": self._method, "path": without_token(self._path or "/")}
        given = next((self._state[name] for name in _IN_STATE if self._state.get(name) is not None), None)
        sent = next((value.decode("latin-1") for name, value in self._headers if name.lower() == _HEADER), None)
        sane = next((found for each in (given, sent) if each is not None and _SANE.fullmatch(found := str(each))), None)
        return facts if sane is None else {**facts, "request_id": sane}


def name_request(scope: Scope) -> None:
    """Say in the log which request it is about, from here on, in this task."""
    name = scope.get(_NOTED)
    if name is None:
        name = scope[_NOTED] = RequestName(scope)
    note_request(name)
