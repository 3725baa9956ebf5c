"""Read permissions as people write them: `0640`, `750`, or Python's 0o640."""

import re

from fastapi_filestore.errors import ConfigurationError

_OCTAL = re.compile(r"(?:0o)?([0-7]{1,5})", re.ASCII | re.IGNORECASE)
_EXECUTE = 0o111
_ALL = 0o777
_OWNER = 0o700
_SET_GROUP = 0o2000


def parse_file_mode(mode: object) -> int:
    """Return the permissions of a file.

    Raises:
        ConfigurationError: They are no octal number, let somebody execute files, or keep their owner from reading them.
    """
    number = _parse(mode, "0640")
    if number & ~(_ALL & ~_EXECUTE):
        raise ConfigurationError(
            f"A file can't be of mode {_shown(number)}: use read and write bits only, as 0640{_hint(mode)}."
        )
    if not number & 0o400:
        raise ConfigurationError(f"Mode {_shown(number)} keeps the owner from reading files: use 0600, 0640 or 0644.")
    return number


def parse_folder_mode(mode: object) -> int:
    """Return the permissions of a folder, with 2 in front for one that hands its group on.

    Raises:
        ConfigurationError: They are no octal number, or keep the owner from using the folder.
    """
    number = _parse(mode, "0750")
    if number & ~(_ALL | _SET_GROUP):
        raise ConfigurationError(
            f"A folder can't be of mode {_shown(number)}: use 0700, 0750, 0755 or 2750{_hint(mode)}."
        )
    if ~number & _OWNER:
        raise ConfigurationError(f"Mode {_shown(number)} keeps the owner out of folders: begin it with 07, as 0750.")
    return number


def _parse(mode: object, example: str) -> int:
    if isinstance(mode, int) and not isinstance(mode, bool) and mode >= 0:
        return mode
    match = _OCTAL.fullmatch(mode.strip()) if isinstance(mode, str) else None
    if match is None:
        raise ConfigurationError(f"{mode!r} is not a mode: use an octal number such as {example}.")
    return int(match[1], 8)


def _shown(number: int) -> str:
    return f"{number:04o}"


def _hint(mode: object) -> str:
    """Return the end of a message to who has forgotten that Python wants 0o before an octal number."""
    return f"; a number is octal only as 0o{mode}" if isinstance(mode, int) and _OCTAL.fullmatch(str(mode)) else ""
