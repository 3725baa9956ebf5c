"""`filestore check`: what it prints, what it answers to the shell, and what of settings it shows."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from fastapi_filestore import FilestoreSettings
from fastapi_filestore.cli import ALL_IS_WELL, FOUND, UNAVAILABLE, WRONG_USE
from fastapi_filestore.cli.exit_codes import UNREAD
from fastapi_filestore.settings.origins import settings_as_read
from tests.maintenance.commands import APPLICATION, Command, classes_of_the_application, environment, folder, run
from tests.maintenance.models import LEDGER

__all__ = ["classes_of_the_application", "folder", "run"]

SIGNING_KEY = "not-the-one-of-any-README-0123456789abcdefgh"


def answers(output: str) -> dict[str, str]:
    """Return how each went, by subject and name, of what was printed as JSON; the summary left out."""
    lines = [json.loads(line) for line in output.splitlines()]
    return {f"{line['subject']} {line['name']}": line["outcome"] for line in lines if "subject" in line}


def test_an_application_that_works(folder: Path, run: Command) -> None:
    """A line for each question, a sum at the end, and the answer 0; no object is left behind."""
    output, complaint, code = run("check")

    assert (complaint, code) == ("", ALL_IS_WELL)
    assert f"ok       settings  FILESTORE_BACKENDS__SHELF__URL  file://{folder}/shelf (environment)" in output
    assert "ok       backend shelf  put  " in output
    assert "ok       column  Report.file (backend 'shelf')" in output
    assert output.splitlines()[-1].startswith("checked  ok: ")
    assert [path.name for path in (folder / "shelf").rglob("*") if path.is_file()] == ["stray"]


def test_one_mistake_keeps_nothing_else_from_being_asked(
    folder: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that can't be made, a store that is down and a missing table are three findings of one run."""
    (folder / "file").write_text("in the way")
    monkeypatch.setenv("FILESTORE_BACKENDS__BROKEN__URL", f"file://{folder}/file")
    monkeypatch.setenv("FILESTORE_BACKENDS__DOWN__URL", "s3://bucket")
    monkeypatch.setenv("FILESTORE_BACKENDS__DOWN__AWS_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("FILESTORE_BACKENDS__DOWN__AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("FILESTORE_BACKENDS__DOWN__AWS_SECRET_ACCESS_KEY", "secret-word")
    monkeypatch.setenv("FILESTORE_BACKENDS__DOWN__MAX_RETRIES", "0")
    engine = create_engine(f"sqlite:///{folder}/rows.db")
    LEDGER.table.drop(engine)
    engine.dispose()

    output, _, code = run("check", "--json")
    found = answers(output)

    assert code == FOUND
    assert [name for name, outcome in found.items() if outcome == "wrong"] == [
        "backend broken set up",
        "backend down put",
        "database sqlite:///rows.db tables",
        "database sqlite:///rows.db ledger",
    ]
    assert found["backend shelf delete"] == "ok"
    assert "secret-word" not in output
    assert json.loads(output.splitlines()[-1])["wrong"] == 4


def test_wrong_settings(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem of the settings is a line, the database is looked at all the same, and the answer is 2."""
    monkeypatch.setenv("FILESTORE_MAX_UPLOAD_SIZE", "much")
    monkeypatch.setenv("FILESTORE_URL_EXPIRY", "0")

    output, complaint, code = run("check")

    assert (complaint, code) == ("", WRONG_USE)
    assert output.count("wrong    settings  read  FILESTORE_") == 2
    assert "ok       database sqlite:///rows.db  tables" in output


def test_a_database_that_is_down(folder: Path, run: Command) -> None:
    """The answer is 3, and the backends were asked all the same."""
    (folder / "application.py").write_text(APPLICATION.replace("sqlite:///rows.db", "sqlite:////no/such/rows.db"))

    output, complaint, code = run("check")

    assert (complaint, code) == ("", UNAVAILABLE)
    assert "wrong    database sqlite:////no/such/rows.db  reached" in output
    assert "ok       backend shelf  delete" in output


def test_an_output_that_nobody_reads_on(folder: Path) -> None:
    """Whoever has read enough, as `head` has, ends the check without a word; it leaves no object behind."""
    program = Path(sys.executable).with_name("filestore")
    with subprocess.Popen(
        [program, "check", "--app", "application"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert (complaint, process.returncode) == ("", UNREAD)
    assert [path.name for path in (folder / "shelf").rglob("*") if path.is_file()] == ["stray"]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none(run: Command, capsys: pytest.CaptureFixture[str], value: str) -> None:
    """A time that can't be meant is refused by name."""
    with pytest.raises(SystemExit) as caught:
        run("check", f"--timeout={value}")

    assert caught.value.code == WRONG_USE
    assert f"argument --timeout: {value!r} is no number of seconds" in capsys.readouterr().err


def test_a_folder_that_may_only_be_read(folder: Path) -> None:
    """A folder that the process can't write is found out, also where root runs it without root's rights."""
    (folder / "shelf").chmod(0o555)
    libc = ctypes.CDLL(None)

    def give_up_rights() -> None:
        for right in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by PR_CAPBSET_DROP
            libc.prctl(24, right)

    program = Path(sys.executable).with_name("filestore")
    done = subprocess.run(
        [program, "check", "--app", "application"],
        cwd=folder,
        env=environment(folder),
        preexec_fn=give_up_rights,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (folder / "shelf").chmod(0o755)

    assert done.returncode == FOUND, done.stderr
    assert "wrong    backend shelf  put" in done.stdout
    assert "change the owner or permissions of its folder" in done.stdout


def test_where_settings_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each setting there is the place that set it: code, environment, .env, secret file, or none."""
    monkeypatch.chdir(tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "filestore_signing_keys").write_text(SIGNING_KEY)
    (tmp_path / ".env").write_text("FILESTORE_URL_EXPIRY=77\nFILESTORE_MAX_FORM_FIELDS=7\nFILESTORE_PROBE=read\n")
    monkeypatch.setenv("FILESTORE_URL_EXPIRY", "78")
    monkeypatch.setenv("FILESTORE_SECRETS_DIR", str(secrets))
    backend = {"url": "s3://b", "aws_secret_access_key": "secret-word", "proxy_url": "http://me:word@proxy:1"}
    monkeypatch.setenv("FILESTORE_BACKENDS", json.dumps({"Docs": backend}).replace("Docs", "docs"))

    found = settings_as_read(FilestoreSettings(probe=True))
    shown = {setting.variable.removeprefix("FILESTORE_"): (setting.value, setting.origin) for setting in found}

    assert shown["URL_EXPIRY"] == ("78", "environment")
    assert shown["MAX_FORM_FIELDS"] == ("7", ".env")
    assert shown["PROBE"] == ("true", "code")
    assert shown["DOWNLOADS"] == ("stream", "default")
    assert shown["SIGNING_KEYS"] == ("********", "secret file")
    assert shown["BACKENDS__DOCS__URL"] == ("s3://b", "environment")
    assert shown["BACKENDS__DOCS__AWS_SECRET_ACCESS_KEY"] == ("********", "environment")
    assert not any(secret in str(found) for secret in ("secret-word", SIGNING_KEY, "word@"))
