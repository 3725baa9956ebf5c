"""Bind settings, session and routers once for an application: `Filestore` is what its code begins with.

`lifecycle` is what runs beside requests, `filestore` what routes are made of. Nothing here reads a body or a row.
"""

from fastapi_filestore.filestore.filestore import Filestore

__all__ = ["Filestore"]
