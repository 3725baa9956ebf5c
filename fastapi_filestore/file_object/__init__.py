"""`FileObject`: a file in your hands, in the column, in the response."""

from fastapi_filestore.file_object.state import FileState, Location
from fastapi_filestore.file_object.value import FileObject

__all__ = ["FileObject", "FileState", "Location"]
