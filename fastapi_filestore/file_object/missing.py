"""An object that a row holds and that is not there: told in the log, whoever meets it."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi_filestore.errors import ObjectNotFoundError
from fastapi_filestore.events import OBJECT_MISSING
from fastapi_filestore.file_object.description import FileDescription


@contextmanager
def telling_if_missing(file: FileDescription) -> Iterator[None]:
    """Log that the object of a file is missing, if a committed row holds it, and raise what the store raised."""
    # A file that only its path names, as a signed URL does, is perhaps in no row; a fresh one is in none yet.
    is_of_row = file.is_stored and not file.fresh
    try:
        yield
    except ObjectNotFoundError:
        if is_of_row:
            OBJECT_MISSING.tell(backend=file.backend, object=file.path, file=file.filename)
        raise
