"""Where settings come from, and who wins."""

from pathlib import Path
from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings import FilestoreSettings
from fastapi_filestore.settings.sources import nest
from tests.settings.conftest import Read
from tests.settings.secret_files import secrets

__all__ = ["secrets"]

UNREADABLE = Path("/proc/self/mem")
"""A file that even root gets an error from when it is read at its start."""


def test_arguments_then_environment_then_env_file_then_secrets(folder: Path, secrets: Path, read: Read) -> None:
    """The first of arguments, environment, `.env` and secret files wins, as with pydantic-settings."""
    for name, value in (("URL_EXPIRY", "4"), ("MAX_FORM_FIELDS", "4"), ("MAX_FIELD_SIZE", "4"), ("PROBE", "true")):
        (secrets / f"FILESTORE_{name}").write_text(value)
    (folder / ".env").write_text("FILESTORE_URL_EXPIRY=3\nFILESTORE_MAX_FORM_FIELDS=3\nFILESTORE_MAX_FIELD_SIZE=3\n")
    read({"SECRETS_DIR": str(secrets), "URL_EXPIRY": "2", "MAX_FORM_FIELDS": "2"})

    settings = FilestoreSettings(url_expiry=1)

    assert (settings.url_expiry, settings.max_form_fields) == (1, 2)
    assert (settings.max_field_size, settings.probe) == (3, True)


def test_sources_complete_one_backend(folder: Path, secrets: Path, read: Read) -> None:
    """A backend's URL, region and secret may each come from another place."""
    (secrets / "FILESTORE_BACKENDS__DOCUMENTS__AWS_SECRET_ACCESS_KEY").write_text("hush\n")
    (folder / ".env").write_text("FILESTORE_BACKENDS__DOCUMENTS__AWS_REGION='us-west-2'\n")

    backend = read({"SECRETS_DIR": str(secrets), "BACKENDS__DOCUMENTS__URL": "s3://docs/"}).backends["documents"]

    assert (backend.url, backend.aws_region) == ("s3://docs/", "us-west-2")
    assert backend.aws_secret_access_key is not None
    assert backend.aws_secret_access_key.get_secret_value() == "hush"


def test_the_folder_of_secrets_may_be_named_in_the_env_file(folder: Path, secrets: Path) -> None:
    """`.env` can say where the secret files are, and their names may be in any case."""
    (folder / ".env").write_text("FILESTORE_SECRETS_DIR=secrets\n")
    (secrets / "filestore_probe").write_text("true")

    assert FilestoreSettings().probe


def test_follows_the_links_of_kubernetes(secrets: Path, read: Read) -> None:
    """A volume of Kubernetes holds links into a hidden folder."""
    (secrets / "..data").mkdir()
    (secrets / "..data" / "FILESTORE_PROBE").write_text("true")
    (secrets / "FILESTORE_PROBE").symlink_to("..data/FILESTORE_PROBE")

    assert read({"SECRETS_DIR": str(secrets)}).probe


def test_other_secrets_and_variables_are_left_alone(folder: Path, secrets: Path, read: Read) -> None:
    """Neither the other secrets of a service, of any kind, nor other variables of `.env` are ours to judge."""
    (secrets / "keystore.p12").write_bytes(b"\xff\xfe\x00")
    (secrets / "DATABASE_URL").write_text("postgresql://")
    (folder / ".env").write_text("DATABASE_URL=postgresql://\nMY_FILESTORE_PROBE=1\n")

    assert not read({"SECRETS_DIR": str(secrets)}).probe


def test_the_env_file_can_be_left_out(folder: Path) -> None:
    """Without an environment file, only the rest counts."""
    (folder / ".env").write_text("FILESTORE_PROBE=true\n")

    assert FilestoreSettings().probe
    assert not FilestoreSettings(_env_file=None).probe


def test_misspelt_names_are_found_in_every_source(folder: Path, secrets: Path, read: Read) -> None:
    """A typo in `.env`, in a secret's name or in an argument is a problem as in the environment."""
    (folder / ".env").write_text("FILESTORE_PROBEE=1\n")
    (secrets / "FILESTORE_SIGNING_KEY").write_text("x")
    read_all = {"SECRETS_DIR": str(secrets), "URL_EXPIRES": "1"}

    with pytest.raises(SettingsError) as caught:
        read(read_all)
    with pytest.raises(SettingsError, match=r"FILESTORE_PROBING is not a setting: did you mean FILESTORE_PROBE\?"):
        FilestoreSettings(probing=True)

    found = {problem.split()[0] for problem in caught.value.problems}
    assert found == {"FILESTORE_PROBEE", "FILESTORE_SIGNING_KEY", "FILESTORE_URL_EXPIRES"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"t\0r\0u\0e\0", "not UTF-8 text, but perhaps UTF-16"),
        (None, "Input/output error; let the process read it"),
    ],
)
def test_an_unreadable_secret_names_its_file(secrets: Path, read: Read, content: bytes | None, reason: str) -> None:
    """A secret file that can't be read is named, with the reason."""
    file = secrets / "FILESTORE_SIGNING_KEYS"
    file.symlink_to(UNREADABLE) if content is None else file.write_bytes(content)

    with pytest.raises(SettingsError, match=f"secret file {file} can't be read: .*{reason}"):
        read({"SECRETS_DIR": str(secrets)})


def test_an_unreadable_env_file_is_our_error(folder: Path) -> None:
    """A `.env` that can't be read, or is no text, is said so."""
    (folder / ".env").write_bytes(b"FILESTORE_PROBE=\xff")

    with pytest.raises(SettingsError, match=r"\.env can't be read: it is not UTF-8 text"):
        FilestoreSettings()
    with pytest.raises(SettingsError, match=r"\.env or the folder of secrets can't be read: .*Input/output"):
        FilestoreSettings(_env_file=UNREADABLE)


def test_backends_may_be_json(read: Read) -> None:
    """All backends or one may be a JSON object, and a variable of one option beats it."""
    settings = read(
        {
            "BACKENDS": '{"documents": {"url": "s3://json/", "aws_region": "eu-north-1"}}',
            "BACKENDS__DOCUMENTS__URL": "s3://variable/",
            "BACKENDS__IMAGES": '{"url": "memory://"}',
        }
    )

    documents = settings.backends["documents"]
    assert (documents.url, documents.aws_region) == ("s3://variable/", "eu-north-1")
    assert settings.backends["images"].url == "memory://"


words = st.text(ascii_lowercase + digits, min_size=1, max_size=8)


names = st.lists(words, min_size=1, max_size=2).map("_".join)


@given(st.dictionaries(names, st.dictionaries(names, st.text(), min_size=1), min_size=1))
def test_nests_every_option_of_every_backend(backends: dict[str, dict[str, str]]) -> None:
    """Whatever the names and texts, each variable ends up at its backend, unchanged."""
    flat = {f"backends__{name}__{option}": text for name, all_ in backends.items() for option, text in all_.items()}

    assert nest(flat) == {"backends": backends}


@given(st.dictionaries(st.text(alphabet="abcdeknps_", max_size=24).map("backends".__add__), st.text()))
def test_any_names_nest_into_something(variables: dict[str, str]) -> None:
    """However variables contradict each other, nesting them is no crash; validation says what is wrong."""
    assert set(nest(variables)) <= {"backends", *variables}
