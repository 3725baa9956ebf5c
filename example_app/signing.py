"""The key that signs URLs of the application: made at the first start, unless somebody gives one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def keep_signing_key(data: Path) -> None:
    """Make a key in a folder of the data if there is none, readable for its owner alone, and say where secrets are.

    That is where the settings look last: a variable, `.env` and a folder of the operator's own come before.
    """
    folder = data / "secrets"
    # The settings read it, and hear of a folder in no other way.
    if os.environ.setdefault("FILESTORE_SECRETS_DIR", str(folder)) != str(folder):  # noqa: TID251
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "FILESTORE_SIGNING_KEYS"
    if key.exists():
        return
    made = key.with_name(f".{secrets.token_hex(8)}")
    made.touch(mode=0o600)
    made.write_text(secrets.token_urlsafe(32))
    with suppress(FileExistsError):  # another worker was faster, and its key is whole
        key.hardlink_to(made)
    made.unlink()
