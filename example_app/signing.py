"""The key that signs URLs of the application: made at the first start, unless somebody gives one."""

import logging
import os
import secrets
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path

from fastapi_filestore import ConfigurationError, FilestoreSettings

FOLDER, NAME = "secrets", "FILESTORE_SIGNING_KEYS"
log = logging.getLogger("uvicorn.error")
"""Where the server says what happens at the start."""


def keep_signing_key(data: Path) -> None:
    """Make a key in a folder of the data if there is none, readable for its owner alone, and say where secrets are.

    That is where the settings look last: a variable, `.env` and a folder of the operator's own come before.
    """
    folder = data / FOLDER
    # The settings read it, and hear of a folder in no other way.
    is_own = os.environ.setdefault("FILESTORE_SECRETS_DIR", str(folder)) == str(folder)  # noqa: TID251
    try:
        data.mkdir(parents=True, exist_ok=True)
        if is_own:
            _make_key(folder)
    except OSError as error:
        is_full = error.errno in (ENOSPC, EDQUOT)
        remedy = "Free some room there" if is_full else "Let it write there"
        raise ConfigurationError(
            f"The application can't keep its data in {data}: {error.strerror}. {remedy}, or say with DATABASE_URL "
            "where its database is."
        ) from error


def _make_key(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    key = folder / NAME
    if key.exists():
        return
    made = key.with_name(f".{secrets.token_hex(8)}")
    made.touch(mode=0o600)
    made.write_text(secrets.token_urlsafe(32))
    with suppress(FileExistsError):  # another worker was faster, and its key is whole
        key.hardlink_to(made)
    made.unlink()


def tell_of_own_key(data: Path, settings: FilestoreSettings) -> None:
    """Log where the key is that signs, if nobody gave one: signed URLs end when it is lost."""
    file = data / FOLDER / NAME
    if settings.secrets_dir == file.parent and [file.read_text()] == [
        key.get_secret_value() for key in settings.signing_keys
    ]:
        log.info("URLs are signed with the key in %s: keep it, or set %s, for all of them end with it.", file, NAME)
