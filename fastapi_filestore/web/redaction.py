"""Signed URLs are passwords for as long as they live: kept out of the server's access log."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi_filestore.web.signed_place import SIGNED_PATH

ACCESS_LOG = "uvicorn.access"
"""Where uvicorn, also under gunicorn, writes the path of each request."""

_TOKEN = re.compile(rf"({SIGNED_PATH}[/?])[^\s#\"']+|([?&]sig=)[^\s&#\"']+")
"""Whatever follows the route, however a client spells it, and a `sig` elsewhere: a store's own URL may have one."""


class RedactSignedURLs(logging.Filter):
    """Takes the tokens of signed URLs out of what is logged; give it to the access log of any other server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it through."""
        record.msg = _redacted(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_redacted(each) for each in record.args)
        return True


def _redacted(value: object) -> object:
    return without_token(value) if isinstance(value, str) else value


def without_token(text: str) -> str:
    """Return what was said of a request without the token of a signed URL."""
    return _TOKEN.sub(r"\1\2[redacted]", text)


@contextmanager
def redacted_access_log() -> Iterator[None]:
    """Keep signed URLs out of the access log while the block runs."""
    log, redaction = logging.getLogger(ACCESS_LOG), RedactSignedURLs()
    log.addFilter(redaction)
    try:
        yield
    finally:
        log.removeFilter(redaction)
