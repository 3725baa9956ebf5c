"""Keep the folder that a client had a file in: data like its name, and never a part of an object's path."""

import re
from collections.abc import Mapping
from typing import Final

from fastapi_filestore.intake.names import safe_filename

FOLDER: Final = "folder"
"""The metadata of a file that has it."""
PATH_FIELDS: Final = (
    "relativePath",
    "fullPath",
    "webkitRelativePath",
    "relative_path",
    "flowRelativePath",
    "resumableRelativePath",
)
"""The form fields in which uploaders send the path of a file: Uppy, Dropzone, scripts, Flow.js, Resumable.js."""
MAX_FOLDER_BYTES: Final = 640
"""So that every store can hold it as metadata, whatever letters it has; what is deeper is left out."""

_OF_A_DISK = re.compile(r"[A-Za-z]:|\\\\")  # `C:\fakepath\a.jpg`: where the client has it is nobody's business


def folder_of(filename: str, fields: Mapping[str, str]) -> str:
    """Return the folder in a client's name of a file or in a form's field with its path, made safe; empty if none."""
    for path in (filename, *(fields[name] for name in PATH_FIELDS if name in fields)):
        if folder := safe_folder(path.replace("\\", "/").rpartition("/")[0] if not _OF_A_DISK.match(path) else ""):
            return folder
    return ""


def safe_folder(path: str) -> str:
    """Return the path of a folder as names with `/` between them: none of them leads up, is hidden or too long."""
    names = list[str]()
    for part in path.split("/"):
        if part == "..":
            del names[-1:]
        elif part.strip(". "):
            names.append(safe_filename(part))
    left, folder = MAX_FOLDER_BYTES, list[str]()
    for name in names:
        left -= len(name.encode()) + 1
        if left < 0:
            break
        folder.append(name)
    return "/".join(folder)


def without_paths(fields: Mapping[str, str], known: frozenset[str]) -> Mapping[str, str]:
    """Return a form's fields without those that have the path of the file, but for known ones."""
    return {name: value for name, value in fields.items() if name in known or name not in PATH_FIELDS}
