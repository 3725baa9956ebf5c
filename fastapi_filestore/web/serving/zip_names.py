"""Name the files of an archive so that every system can unpack them: no two alike, none outside, none forbidden."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from fastapi_filestore.intake.names import FALLBACK_NAME, MAX_EXTENSION_BYTES, MAX_FILENAME_BYTES, safe_filename

MAX_FOLDER_BYTES: Final = 1024
"""Bytes of the folders before a name; deeper ones are left out."""
ROOM_FOR_NUMBER: Final = 12
"""Bytes that a name is shortened by, if need be, to take the number that tells it from another."""

_FORBIDDEN = re.compile(r'[<>:"|?*]')  # on Windows, which takes `C:` for a drive and `a:b` for a stream, too
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
"""Names of devices on Windows, whatever ending they have."""


class ZipNames:
    """Chooses the names of one archive, from those that clients and applications gave.

    Names that differ in case or Unicode normalization alone are one on some systems, and so are a file and a folder.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._folders: dict[str, str] = {}

    def choose(self, path: str) -> str:
        """Return the name of the next file, with the folders before it."""
        *folders, name = path.replace("\\", "/").rsplit("/", 1)
        place = ""
        for folder in _safe_folders(folders[0] if folders else ""):
            key = _key(place + folder)
            if key not in self._folders:
                self._folders[key] = self._take(place, folder) + "/"
            place = self._folders[key]
        return self._take(place, safe_part(name) or FALLBACK_NAME)

    def _take(self, place: str, name: str) -> str:
        """Return the first of `a.pdf`, `a (2).pdf`, … that nothing in this place has."""
        chosen = place + name
        if _key(chosen) in self._taken:
            stem, ending = _shortened(name)
            counted = _key(f"{place}{stem}/{ending}")
            number = self._numbers.get(counted, 2)
            while _key(chosen := f"{place}{stem} ({number}){ending}") in self._taken:
                number += 1
            self._numbers[counted] = number + 1
        self._taken.add(_key(chosen))
        return chosen


def safe_part(text: str) -> str:
    """Return a name, or that of one folder, as every system takes it; empty if nothing is left of it."""
    if not text.strip(". "):
        return ""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", safe_filename(text))).rstrip(". ")
    return safe_filename(f"_{name}" if _DEVICE.match(name) else name).rstrip(". ")


def _safe_folders(path: str) -> Iterator[str]:
    left = MAX_FOLDER_BYTES
    for text in path.split("/"):
        folder = safe_part(text)
        left -= len(folder.encode()) + 1 if folder else 0
        if left < 0:
            return
        if folder:
            yield folder


def _shortened(name: str) -> tuple[str, str]:
    """Return a name without its ending, short enough to take a number, and the ending."""
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension
    if not stem or len(ending.encode()) > MAX_EXTENSION_BYTES:
        stem, ending = name, ""
    room = MAX_FILENAME_BYTES - ROOM_FOR_NUMBER - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(), ending


def _key(name: str) -> str:
    """Return what two names have in common that some system takes for one (Unicode, "canonical caseless match")."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
