"""Lines of `.env`: what sets nothing is an error, what is not ours is left alone, and encodings are read or named."""

from pathlib import Path
from string import ascii_lowercase, digits

import pytest

from fastapi_filestore.settings import FilestoreSettings
from tests.settings.conftest import Problems, Read
from tests.settings.secret_files import secrets

__all__ = ["secrets"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("FILESTORE_PROBE: true", "with an equals sign"),
        ("FILESTORE_PROBE:true", "with an equals sign"),
        ("FILESTORE_PROBE true", "with an equals sign"),
        ("FILESTORE_PROBE", "with an equals sign"),
        ("filestore_probe: true", "with an equals sign"),
        ("set FILESTORE_PROBE=true", "without 'set' before"),
        ("setx FILESTORE_PROBE true", "without 'setx' before"),
        ("declare -x FILESTORE_PROBE=true", "without 'declare -x' before"),
        ("- FILESTORE_PROBE=true", "without '-' before"),
        ("-e FILESTORE_PROBE=true", "without '-e' before"),
        ('$env:FILESTORE_PROBE="true"', "without '$env:' before"),
        ('"FILESTORE_PROBE": "true",', "without '\"' before"),
        ("env.FILESTORE_PROBE=true", "without 'env.' before"),
        ("//FILESTORE_PROBE=true", "without '//' before"),
        ("; FILESTORE_PROBE=true", "without ';' before"),
        ("?FILESTORE_PROBE=true", "without '?' before"),
        ("%FILESTORE_PROBE%=true", "without '%' before"),
        ("FILESTORE_PROBE[0]=true", "with an equals sign"),
        ("FILESTORE_PROBE+=true", "with an equals sign"),
        ("PASSWORD: a-long-one FILESTORE_PROBE=true", "with nothing before the name"),
        ("A=1 FILESTORE_PROBE=true", "on a line of its own"),
        ('A="x" FILESTORE_PROBE=true # yes', "on a line of its own"),
        ("export A=1 && export FILESTORE_PROBE=true", "on a line of its own"),
        ("A=1;FILESTORE_PROBE=true", "on a line of its own"),
        ("A=1&&FILESTORE_PROBE=true", "on a line of its own"),
        ("A=1\u2028FILESTORE_PROBE=true", "on a line of its own"),
        ("FILESTORE_MAX_FORM_FIELDS=5 FILESTORE_PROBE=true", "on a line of its own"),
        ("\u200bFILESTORE_PROBE=true", "typed anew"),
        ("FILESTORE\u200b_PROBE=true", "typed anew"),
        ("FILESTORE_PROBE\u200b=true", "typed anew"),
        ("\uff26ILESTORE_PROBE=true", "typed anew"),
    ],
)
def test_a_line_of_the_env_file_that_sets_nothing(folder: Path, problems: Problems, line: str, told: str) -> None:
    """A line that names a setting and can't be read is an error with its number, and shows no value."""
    (folder / ".env").write_text(f"DATABASE_URL: x\n\n# FILESTORE_PROBE: true\n{line}\nFILESTORE_URL_EXPIRY=4\n")
    (problem,) = problems({})

    assert problem.startswith("Line 4 of .env sets nothing: write FILESTORE_PROBE=value there, ")
    assert told in problem
    assert "a-long-one" not in problem


@pytest.mark.parametrize(
    "line",
    [
        "  #FILESTORE_PROBE=true",
        "A=1 # FILESTORE_PROBE=true",
        "FILESTORE_MAX_FORM_FIELDS=5 # FILESTORE_PROBE=true",
        'A="docker run -e FILESTORE_PROBE=true x"',
        "A='it\\'s FILESTORE_PROBE=true'",
        "A=$FILESTORE_PROBE",
        "A=${FILESTORE_PROBE:-x}",
        "A=https://host/?a=1&FILESTORE_PROBE=1",
        "A=see FILESTORE_PROBE",
        "MY_FILESTORE_PROBE=1",
        "FILE_STORE=1",
        "STORE_PROBE=1",
    ],
)
def test_a_line_that_means_no_setting(folder: Path, line: str) -> None:
    """Comments, and other variables' values that mention a setting, are read past."""
    (folder / ".env").write_text(f"{line}\n")

    assert not FilestoreSettings().probe


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FILSTORE_PROBE", "FILESTORE_PROBE"),
        ("FILESTORES_PROBE", "FILESTORE_PROBE"),
        ("FILE_STORE_MAX_UPLOAD_SIZE", "FILESTORE_MAX_UPLOAD_SIZE"),
        ("FILSTORE_BACKENDS__DOCS__URL", "FILESTORE_BACKENDS__DOCS__URL"),
        ("FILESTORE-PROBE", "FILESTORE_PROBE"),
        ("filestore.probe", "FILESTORE_PROBE"),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_prefix_that_is_almost_ours(
    folder: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch, *, name: str, meant: str, is_file: bool
) -> None:
    """A setting behind a misspelt first word is refused: nobody's files go to the local disk without a word."""
    if is_file:
        (folder / ".env").write_text(f"{name}=true\n")
    else:
        monkeypatch.setenv(name, "true")

    assert problems({}) == (f"{name.upper()} is not read: did you mean {meant}?",)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-16"])
def test_an_env_file_as_editors_of_windows_save_it(folder: Path, problems: Problems, encoding: str) -> None:
    """A file that is not UTF-8 is an error, though each of its bytes alone would be."""
    (folder / ".env").write_bytes("FILESTORE_PROBE=true\r\n".encode(encoding))
    (problem,) = problems({})

    assert problem.startswith("The file .env can't be read: it is not UTF-8 text")


def test_a_line_within_the_quotes_of_another(folder: Path, problems: Problems) -> None:
    """A setting that an open quote above it swallows is an error with its line."""
    (folder / ".env").write_text('OTHER="open\nFILESTORE_PROBE=true\nLAST="\n')
    (problem,) = problems({})

    assert problem.startswith("Line 2 of .env sets nothing")
    assert problem.endswith("close the quotes of the lines above it.")


@pytest.mark.parametrize(
    "line",
    [
        "FILESTORE_PROBE=true",
        "export FILESTORE_PROBE = 'true' # yes",
        "'FILESTORE_PROBE'=true",
        "  FILESTORE_PROBE=true",
    ],
)
def test_a_mark_at_the_beginning_of_the_env_file(folder: Path, line: str) -> None:
    """The mark that editors of Windows put before the first line is read past, and their line ends."""
    (folder / ".env").write_bytes(f"{line}\r\nHINT=FILESTORE_PROBE: true\r\n".encode("utf-8-sig"))

    assert FilestoreSettings().probe


def test_an_env_file_in_another_encoding(folder: Path) -> None:
    """A file may be in the encoding that is said."""
    (folder / ".env").write_bytes("# Größe\nFILESTORE_PROBE=true\n".encode("latin-1"))

    assert FilestoreSettings(_env_file_encoding="latin-1").probe


def test_a_mark_at_the_beginning_of_a_secret(secrets: Path, read: Read) -> None:
    """It is none of the secret."""
    (secrets / "FILESTORE_PROBE").write_bytes("true\r\n".encode("utf-8-sig"))

    assert read({"SECRETS_DIR": str(secrets)}).probe


def test_quotes_of_an_env_file_of_docker(read: Read) -> None:
    """Quotes that arrive with a value are none of it, as in `.env`; those inside are."""
    settings = read(
        {
            "PROBE": '"true"',
            "URL_EXPIRY": "'60'",
            "BACKENDS__DOCUMENTS__URL": '"s3://docs/"',
            "BACKENDS__OTHER": '\'{"url": "memory://"}\'',
            "DEFAULT_BACKEND": '""',
            "SIGNING_KEYS": f'["{ascii_lowercase}{digits}", "{digits}{ascii_lowercase}"]',
        }
    )

    assert (settings.probe, settings.url_expiry, settings.backends["documents"].url) == (True, 60, "s3://docs/")
    assert settings.backends["other"].url == "memory://"
    assert [key.get_secret_value()[0] for key in settings.signing_keys] == ["a", "0"]
