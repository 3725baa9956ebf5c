"""Say in sentences why an application does not start: nobody reads them at the end of forty lines of traceback."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi_filestore import errors

SERVER_LOG: Final = "uvicorn.error"
"""Where uvicorn, also under gunicorn, writes what Starlette says of a start that failed."""

_TRACEBACK: Final = "Traceback (most recent call last):\n"
_OURS: Final = re.compile(rf"\n{re.escape(errors.__name__)}[.\w]+: (.*)\Z", re.DOTALL)
"""The last error of a traceback, if it is one of the library's, with all of its text."""


class _Sentences(logging.Filter):
    """Puts the text of the library's error in the place of the traceback that Starlette makes of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it through."""
        if isinstance(record.msg, str) and record.msg.startswith(_TRACEBACK) and (found := _OURS.search(record.msg)):
            record.msg, record.args = f"The application does not start. {found[1].strip()}", ()
        return True


_SENTENCES: Final = _Sentences()


@contextmanager
def failing_in_sentences() -> Iterator[None]:
    """Raise an error of the library without what led to it: Starlette hands a traceback to the server as text."""
    logging.getLogger(SERVER_LOG).addFilter(_SENTENCES)  # nothing if it is there already
    try:
        yield
    except errors.FilestoreError as error:
        raise error.with_traceback(None) from None
