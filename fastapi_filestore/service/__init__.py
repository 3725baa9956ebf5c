"""What routes and commands call: create, read, replace and delete rows together with their files."""

from fastapi_filestore.service.file_service import FileService
from fastapi_filestore.service.pages import Page

__all__ = ["FileService", "Page"]
