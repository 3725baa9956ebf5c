"""What the documents say of settings is true."""

import re
from pathlib import Path

import pytest

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings import BackendSettings, FilestoreSettings
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.settings.conftest import Read
from tests.settings.table import PAGE, replace_section

BACKENDS = PAGE.read_text().partition("<!-- backends:begin -->")[2].partition("<!-- backends:end -->")[0]
BLOCKS = re.findall(r"```sh\n(.*?)```", BACKENDS, re.DOTALL)
PLACEHOLDER = "change-me-to-your-own-32-characters"
SERVICE_ACCOUNT = "/path/to/service-account.json"


def test_the_readme_lists_every_variable() -> None:
    """The page's table is the settings' own; `python -m tests.settings.table` makes it so."""
    text = PAGE.read_text()

    assert text == replace_section(text)


def test_every_setting_is_explained() -> None:
    """Each field says what it means."""
    fields = FilestoreSettings.model_fields | BackendSettings.model_fields

    assert [name for name, field in fields.items() if not field.description] == []


def test_the_placeholder_of_a_signing_key_is_refused(read: Read) -> None:
    """Whoever copies the key of the page is told so at the start, by the variable's name."""
    assert f"FILESTORE_SIGNING_KEYS={PLACEHOLDER}" in PAGE.read_text()
    with pytest.raises(SettingsError, match="FILESTORE_SIGNING_KEYS, entry 1: it is the placeholder"):
        read({"SIGNING_KEYS": PLACEHOLDER})


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.split()[0]))
def test_every_block_of_environment_works(block: str, read: Read, folder: Path) -> None:
    """A block copied from the documents becomes settings, and those become stores."""
    account = folder / "service-account.json"
    account.write_text('{"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": true}')
    text = (
        block.replace("FILESTORE_", "")
        .replace(SERVICE_ACCOUNT, str(account))
        .replace("file:///", f"file://{folder}/")
        .replace(PLACEHOLDER, "0123456789abcdef" * 2)
    )

    settings = read(dict(line.split("=", 1) for line in text.splitlines()))

    for backend in settings.backends.values():
        ObstoreBackend("documents", fs=backend.url, **backend.options())
