"""Refuse lines of `.env` that mean a setting and are none: whoever reads the file passes over them without a word."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from unicodedata import category, normalize

from fastapi_filestore.errors import SettingsError

ENCODING = "utf-8-sig"
"""UTF-8, with the mark at its beginning that editors of Windows put there or without."""

_NAME = re.compile(r"(?<![A-Za-z0-9_])FILESTORE_\w*", re.IGNORECASE)
_SETTING = re.compile(r"\ufeff?\s*(?:export\s+)?(?P<quote>'?)(?P<name>FILESTORE_\w*)(?P=quote)\s*=", re.IGNORECASE)
_BESIDE = re.compile(r"(?:(?<=[\s;,|])|(?<=&&))FILESTORE_\w*(?=\s*=)", re.IGNORECASE)
"""A setting behind another variable's value, which ends at the end of the line."""
_QUOTED = re.compile(r"""\s*(?:'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?)""")
_WORD = re.compile(r"\S{1,16}|[A-Za-z]{1,10} -\w")
ANEW = "typed anew, for it holds a character that can't be seen or looks like another"
_COMMENT = re.compile(r"(?:^|\s)#.*")


def refuse_unread_lines(source: object, names: Collection[str]) -> None:
    """Raise `SettingsError` for lines that set nothing though they name a setting.

    Args:
        source: pydantic-settings' source of environment files.
        names: The variables that it read from them, in lower case.
    """
    files, encoding = getattr(source, "env_file", None), getattr(source, "env_file_encoding", None)
    paths: Iterable[str | os.PathLike[str]] = [files] if isinstance(files, str | os.PathLike) else files or ()
    problems = list[str]()
    for path in (Path(path).expanduser() for path in paths):
        # What can be read only once was read before.
        text = path.read_text(encoding=encoding or ENCODING) if path.is_file() else ""
        if "\0" in text:
            problems.append(
                f"The file {path} can't be read: it is not UTF-8 text, but perhaps UTF-16: save it as UTF-8."
            )
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            if (unread := _find_unread(line, names)) is not None:
                name, remedy = unread
                problems.append(f"Line {number} of {path} sets nothing: write {name.upper()}=value there, {remedy}.")
    if problems:
        raise SettingsError(problems)


def _find_unread(line: str, names: Collection[str]) -> tuple[str, str] | None:
    """Return the setting that a line means and does not set, and how to write it; None if there is none.

    A comment begins with #, as for all who read such files; // and ; are parts of names.
    """
    setting = _SETTING.match(line)
    if setting is None:
        before, *_ = _COMMENT.sub("", line).partition("=")
        visible = "".join(character for character in normalize("NFKC", before) if category(character) != "Cf")
        if (meant := _NAME.search(visible)) is not None:
            head = visible[: meant.start()].strip()
            if visible != before:
                remedy = ANEW
            elif not head:
                remedy = "with an equals sign after the name"
            else:  # what is longer than a word may be a value
                remedy = (
                    f"without {head!a} before the name" if _WORD.fullmatch(head) else "with nothing before the name"
                )
            return meant[0], remedy
    elif setting["name"].lower() not in names:
        return setting["name"], "and close the quotes of the lines above it"
    value = line.partition("=")[2]
    beside = _BESIDE.search(_COMMENT.sub("", _QUOTED.sub("", value, count=1) if _QUOTED.match(value) else value))
    return None if beside is None else (beside[0], "on a line of its own")
