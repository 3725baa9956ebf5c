"""Lines of `.env` that mean a setting and are none: whoever reads the file passes over them without a word."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fastapi_filestore.errors import SettingsError

ENCODING = "utf-8-sig"
"""UTF-8, with the mark at its beginning that editors of Windows put there or without."""

_MEANT = re.compile(
    r"""\s*(?P<before>(?:[\w-]+\s+|\$env:|["'{]\s*)*)(?P<name>FILESTORE_\w*)(?P<after>["']?\s*)""", re.IGNORECASE
)
"""A line that is about a setting: as shells, PowerShell, YAML and JSON write it, too."""
_SETTING = re.compile(r"\s*(?:export\s+)?(?P<quote>'?)FILESTORE_\w*(?P=quote)\s*=", re.IGNORECASE)


def refuse_unread_lines(source: object, names: Collection[str]) -> None:
    """Raise `SettingsError` for lines that set nothing though they name a setting.

    Args:
        source: pydantic-settings' source of environment files.
        names: The variables that it read from them, in lower case.
    """
    files, encoding = getattr(source, "env_file", None), getattr(source, "env_file_encoding", None)
    paths: Iterable[str | os.PathLike[str]] = [files] if isinstance(files, str | os.PathLike) else files or ()
    problems = [
        problem for path in map(Path, paths) for problem in _problems(path.expanduser(), encoding or ENCODING, names)
    ]
    if problems:
        raise SettingsError(problems)


def _problems(path: Path, encoding: str, names: Collection[str]) -> Iterator[str]:
    # What can be read only once was read before.
    lines: Iterable[str] = path.read_text(encoding=encoding).splitlines() if path.is_file() else ()
    for number, line in enumerate(lines, start=1):
        meant = _MEANT.match(line)
        if meant is None or (_SETTING.match(line) and meant["name"].lower() in names):
            continue
        before = meant["before"].strip()
        remedy = f"without {before!r} before the name" if before else "with an equals sign after the name"
        yield (
            f"Line {number} of {path} sets nothing: write {meant['name'].upper()}=value there, {remedy}, and close the "
            "quotes of the lines above it."
        )
