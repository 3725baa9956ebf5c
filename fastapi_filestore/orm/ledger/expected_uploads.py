"""What a ledger knows of upload URLs: what no row takes in time after their end goes, however often a client stores."""

import time
from typing import Any

from sqlalchemy.orm import Mapper, Session

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.ledger.ledger import ledger_of_class
from fastapi_filestore.orm.sessions import writing_connection
from fastapi_filestore.storage.paths import UPLOAD_GRACE, upload_expiry


def expect_upload(session: Session, mapper: Mapper[Any], file: FileObject) -> None:
    """Let the ledger know, with this transaction, where a client is to store a file by an upload URL."""
    ledger, at = ledger_of_class(mapper), file.location
    if ledger is not None:
        left = upload_expiry(at[1]) + UPLOAD_GRACE - time.time()
        ledger.expect(writing_connection(session, mapper), at, seconds=left)
