"""Create, read, replace and delete rows together with their files: routes and commands call it.

`FileService` is one model's rows in one session; `audit/`, `sweep/` and `start/` are for operators. Nothing here
knows of requests.
"""

from fastapi_filestore.service.file_service import FileService
from fastapi_filestore.service.pages import Page

__all__ = ["FileService", "Page"]
