"""What a person reads whose settings are wrong: the variable, its value, the remedy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fastapi_filestore.errors import ConfigurationError, SettingsError
from fastapi_filestore.settings import BackendSettings, FilestoreSettings
from fastapi_filestore.settings.problems import holds_secret
from tests.settings.conftest import Problems, Read

SECRET = "never-to-be-shown"
SECRETS = [name for name, field in BackendSettings.model_fields.items() if holds_secret(field.annotation)]
STORE = "use s3://bucket/, gs://bucket/, az://container/, file:///folder/ or memory://"
CREDENTIALS = "give credentials in settings of their own; a URL holds none, and no ? or #"
ROOT = "it is the root of all disks; name a folder, and see whether a variable in it was empty"
ENDPOINT = "begin it with https:// or http:// and a host"
KEY = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
UNFILLED = "it has what a shell was to fill in and did not, as ${…} or $(…)"
TWO_KEYS = "a key has no spaces and no semicolons: separate keys by commas"
PLACEHOLDER = "it is the placeholder of an example, which everybody knows"

WRONG = {
    ("PROBE", "perhaps"): " is 'perhaps': use true, false or read.",
    ("URL_EXPIRY", "1h"): " is '1h': use a whole number.",
    ("URL_EXPIRY", "0"): " is '0': use 1 or more.",
    ("URL_EXPIRY", "604801"): " is '604801': use 604800 or less.",
    ("MAX_FORM_FIELDS", "-1"): " is '-1': use 0 or more.",
    ("MAX_UPLOAD_SIZE", "0"): " is '0': use 1 or more.",
    ("MAX_UPLOAD_SIZE", "2 G"): " is '2 G': use a number of bytes, or one with a unit such as 50 MB (decimal) or 2 GiB "
    "(binary).",
    ("PUBLIC_URL", "files.example.com"): f" is 'files.example.com': {ENDPOINT}.",
    ("PUBLIC_URL", "https://me:pw@host"): " is 'https://***@host': leave out user, password, ? and #.",
    ("PUBLIC_URL", "https://host/?a=b"): " is 'https://host/?***': leave out user, password, ? and #.",
    ("PUBLIC_URL", "ftp://host"): f" is 'ftp://host': {ENDPOINT}.",
    ("PUBLIC_URL", "https://"): f" is 'https://': {ENDPOINT}.",
    ("PUBLIC_URL", "https://:80/"): f" is 'https://:80/': {ENDPOINT}.",
    ("PUBLIC_URL", "https://a b"): " is 'https://a b': leave out the character ' ', which no address holds.",
    ("PUBLIC_URL", "https://host/\u200b"): " is 'https://host/\\u200b': leave out the character '\\u200b', which no "
    "address holds.",
    ("PUBLIC_URL", "https://host:99999"): " is 'https://host:99999': use a port from 1 to 65535.",
    ("PUBLIC_URL", "https://[::1"): " is 'https://[::1': write an address of IPv6 as http://[::1]:9000.",
    ("PUBLIC_URL", "https://host?"): " is 'https://host?': leave out user, password, ? and #.",
    ("SIGNING_KEYS", "short"): f", entry 1: use 32 characters or more; {KEY}.",
    ("SIGNING_KEYS", "0123456789abcdef" * 2 + ",short"): f", entry 2: use 32 characters or more; {KEY}.",
    ("SIGNING_KEYS", "k" * 32): f", entry 1: use 10 different characters or more, for fewer can be guessed; {KEY}.",
    (
        "SIGNING_KEYS",
        "123456789" * 9,
    ): f", entry 1: use 10 different characters or more, for fewer can be guessed; {KEY}.",
    ("SIGNING_KEYS", "change-me-to-your-own-32-characters"): f", entry 1: {PLACEHOLDER}; {KEY}.",
    ("SIGNING_KEYS", "${SIGNING_KEY:?see .env.example please}"): f", entry 1: {UNFILLED}; {KEY}.",
    ("SIGNING_KEYS", "$(openssl rand -base64 32)-aaaaaaaaaa"): f", entry 1: {UNFILLED}; {KEY}.",
    ("SIGNING_KEYS", "`openssl rand -base64 32`-aaaaaaaaaa"): f", entry 1: {UNFILLED}; {KEY}.",
    ("SIGNING_KEYS", "0123456789abcdef0123;456789abcdef0123"): f", entry 1: {TWO_KEYS}; {KEY}.",
    ("SIGNING_KEYS", "0123456789abcdef0123 456789abcdef0123"): f", entry 1: {TWO_KEYS}; {KEY}.",
    ("SIGNING_KEYS", "CHANGE_ME_CHANGE_ME_CHANGE_ME_NOW_0123"): f", entry 1: {PLACEHOLDER}; {KEY}.",
    ("SIGNING_KEYS", "[short"): ": the JSON list is malformed; quote each key, or separate them by commas only.",
    (
        "SECRETS_DIR",
        "nowhere",
    ): " is 'nowhere': there is no such folder; give the path of one that the process can see.",
    ("BACKENDS", SECRET): ": give each backend variables of its own, such as FILESTORE_BACKENDS__DOCUMENTS__URL.",
}
WRONG_OPTIONS = {
    ("URL", ""): f" is '': {STORE}.",
    ("URL", "my-bucket"): f" is 'my-bucket': {STORE}.",
    ("URL", "file:///"): f" is 'file:///': {ROOT}.",
    ("URL", "file:////."): f" is 'file:////.': {ROOT}.",
    ("URL", "file:///tmp/xx?mode=600"): " is 'file:///tmp/xx?***': it has no ? and no #; options are settings of their "
    "own, and in a name write %3F and %23.",
    ("URL", "file:///${DIR}"): " is 'file:///${DIR}': a variable in it was not replaced; write what it stands for.",
    ("FILE_MODE", "rw"): " is 'rw': 'rw' is not a mode: use an octal number such as 0640.",
    ("URL", "s4://bucket"): f" is 's4://bucket': {STORE}.",
    ("URL", "s3://AKIA:se/cret@bucket"): f" is 's3://***@bucket': {CREDENTIALS}.",
    ("URL", "az://container?sig=secret"): f" is 'az://container?***': {CREDENTIALS}.",
    ("AWS_ALLOW_HTTP", "perhaps"): " is 'perhaps': use true or false.",
    ("AWS_ENDPOINT", "localhost:9000"): f" is 'localhost:9000': {ENDPOINT}.",
    (
        "PUBLIC_URL",
        "https://cdn.example.com/a b",
    ): " is 'https://cdn.example.com/a b': leave out the character ' ', which no address holds.",
    ("PUBLIC_ENDPOINT", "https://host/#a"): " is 'https://host/#***': leave out user, password, ? and #.",
    (
        "AWS_REGION",
        "eu central 1",
    ): " is 'eu central 1': use the name of a region, as eu-central-1, in letters, digits, - and _.",
    ("AWS_CONDITIONAL_PUT", "no"): " is 'no': use 'etag' or 'disabled'.",
    ("TIMEOUT", "soon"): " is 'soon': use a number of seconds.",
    ("TIMEOUT", "0"): " is '0': use a number of seconds above 0.",
    ("TIMEOUT", "inf"): " is 'inf': use a number of seconds.",
    ("MAX_RETRIES", "1.5"): " is '1.5': use a whole number.",
    ("GOOGLE_SERVICE_ACCOUNT", "/none.json"): " is '/none.json': there is no such file; give the path of one that the "
    "process can see.",
    ("GOOGLE_SERVICE_ACCOUNT_KEY", SECRET): ": give the text of the JSON file; for its path there is a setting of its "
    "own.",
    (
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "[]",
    ): ": give the text of the JSON file; for its path there is a setting of its own.",
}
MISSPELT = {
    "PROBEE": "PROBE",
    "MAX_SIZE": "MAX_UPLOAD_SIZE",
    "SIGNING_KEY": "SIGNING_KEYS",
    "SECRET_DIR": "SECRETS_DIR",
    "BACKENDS__DOCUMENTS__AWS_REGIN": "BACKENDS__DOCUMENTS__AWS_REGION",
    "BACKENDS__DOCUMENTS__REGION": "BACKENDS__DOCUMENTS__AWS_REGION",
    "BACKENDS__DOCUMENTS__AWS_SECRET_KEY": "BACKENDS__DOCUMENTS__AWS_SECRET_ACCESS_KEY",
    "BACKENDS__DOCUMENTS__AWS_REGION__NAME": "BACKENDS__DOCUMENTS__AWS_REGION",
    "BACKEND__DOCUMENTS__URL": "BACKENDS__DOCUMENTS__URL",
    "BACKENDS_DOCUMENTS_URL": "BACKENDS__DOCUMENTS__URL",
    "BACKENDS_COMPANY_DOCS_AWS_REGION": "BACKENDS__COMPANY_DOCS__AWS_REGION",
    "BACKENDS__DOCUMENTS_AWS_ACCESS_KEY_ID": "BACKENDS__DOCUMENTS__AWS_ACCESS_KEY_ID",
    "BACKENDS__DOCUMENTS": "BACKENDS__DOCUMENTS__URL",
}


@pytest.mark.parametrize(("setting", "said"), WRONG.items())
def test_a_wrong_setting(problems: Problems, setting: tuple[str, str], said: str) -> None:
    """A wrong value is one line: its variable, the value, and the remedy."""
    name, value = setting

    assert problems({name: value}) == (f"FILESTORE_{name}{said}",)


@pytest.mark.parametrize(("option", "said"), WRONG_OPTIONS.items())
def test_a_wrong_option(problems: Problems, option: tuple[str, str], said: str) -> None:
    """An option of a backend is called by its whole variable."""
    name, value = option
    variables = {"BACKENDS__DOCUMENTS__URL": "s3://docs/", f"BACKENDS__DOCUMENTS__{name}": value}

    assert problems(variables) == (f"FILESTORE_BACKENDS__DOCUMENTS__{name}{said}",)


@pytest.mark.parametrize(("misspelt", "meant"), MISSPELT.items())
def test_a_misspelt_name(problems: Problems, misspelt: str, meant: str) -> None:
    """A name that is not a setting is answered with the one that was probably meant, and no value."""
    variables = {"BACKENDS__DOCUMENTS__URL": "s3://docs/"} if misspelt.startswith("BACKENDS__DOCUMENTS__") else {}

    (problem,) = problems({**variables, misspelt: SECRET})

    assert problem.startswith(f"FILESTORE_{misspelt} ")
    assert problem.endswith(f": did you mean FILESTORE_{meant}?")
    assert SECRET not in problem


@pytest.mark.parametrize("name", ["XYZZY", "BACKENDS__DOCUMENTS__XYZZY"])
def test_a_name_close_to_none(problems: Problems, name: str) -> None:
    """A name that resembles no setting points to the list of all."""
    found = problems({"BACKENDS__DOCUMENTS__URL": "memory://", name: SECRET})

    assert found == (f"FILESTORE_{name} is not a setting: docs/settings.md lists them all.",)


def test_a_backend_without_url(problems: Problems) -> None:
    """A backend that has options but no URL names the variable that is missing."""
    found = problems({"BACKENDS__DOCUMENTS__AWS_REGION": "us-west-2"})

    assert found == (f"FILESTORE_BACKENDS__DOCUMENTS__URL is not set: {STORE}.",)


def test_an_unknown_default_backend(problems: Problems) -> None:
    """A default that no backend has lists those there are."""
    found = problems({"DEFAULT_BACKEND": "media", "BACKENDS__B__URL": "memory://", "BACKENDS__A__URL": "memory://"})

    assert found in {
        (f"FILESTORE_DEFAULT_BACKEND is 'media': choose one of the backends there are: {names}.",)
        for names in ("a, b", "b, a")
    }


def test_options_of_another_store(problems: Problems) -> None:
    """Options that the URL's store does not have are named, for they would be ignored."""
    found = problems(
        {
            "BACKENDS__IMAGES__URL": "gs://images/",
            "BACKENDS__IMAGES__AWS_REGION": "us-west-2",
            "BACKENDS__IMAGES__TIMEOUT": "3",
            "BACKENDS__IMAGES__MKDIR": "true",
        }
    )

    reason = "AWS_REGION, MKDIR can't be used with a gs:// URL; remove what belongs to another store"
    assert found == (f"FILESTORE_BACKENDS__IMAGES: {reason}.",)


def test_a_name_that_no_variable_can_say() -> None:
    """A backend in code is named as variables can name it, so that the environment can complete it."""
    with pytest.raises(SettingsError, match="FILESTORE_BACKENDS__MY DOCS: name a backend in lower-case letters"):
        FilestoreSettings(backends={"My docs": {"url": "memory://"}})


def test_every_problem_is_listed_at_once(problems: Problems) -> None:
    """All that is wrong is said in one error, a line each."""
    found = problems({"PROBE": "perhaps", "PROBEE": "1", "URL_EXPIRY": "0", "BACKENDS__A__AWS_REGION": "x"})

    assert len(found) == 4


def test_the_error_is_ours(read: Read) -> None:
    """What is raised can be caught as a configuration error, and reads well as a whole."""
    with pytest.raises(ConfigurationError) as caught:
        read({"PROBE": "perhaps"})

    assert (
        str(caught.value)
        == "The file store's settings are wrong:\n- FILESTORE_PROBE is 'perhaps': use true, false or read."
    )


def test_an_option_of_the_wrong_kind_in_json(problems: Problems) -> None:
    """A value of JSON that is no text is called by its variable as well."""
    backend = json.dumps({"url": "memory://", "aws_region": {"name": SECRET}})

    assert problems({"BACKENDS__A": backend}) == ("FILESTORE_BACKENDS__A__AWS_REGION: use text.",)


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_shown(read: Read, name: str) -> None:
    """Neither the settings nor an error about something else shows a secret."""
    secret = f'{{"private_key": "{SECRET}"}}'
    url = {"aws": "s3://b/", "google": "gs://b/", "azure": "az://b/", "proxy": "s3://b/"}[name.partition("_")[0]]
    settings = read({"BACKENDS__A__URL": url, f"BACKENDS__A__{name.upper()}": secret})
    with pytest.raises(SettingsError) as caught:
        read({"BACKENDS__A__URL": f"file:///{name}"})

    assert isinstance(getattr(settings.backends["a"], name), SecretStr)
    assert SECRET not in repr(settings) + str(settings)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_signing_keys_are_not_shown(read: Read) -> None:
    """The signing keys show neither in the settings nor in an error about one of them."""
    settings = read({"SIGNING_KEYS": SECRET * 2})
    with pytest.raises(SettingsError) as caught:
        read({"SIGNING_KEYS": f"{SECRET * 2},{SECRET}"})

    assert SECRET not in repr(settings)
    assert SECRET not in str(caught.value)


@given(st.dictionaries(st.text(max_size=12), st.text() | st.integers() | st.none(), max_size=3))
def test_any_backend_is_right_or_our_error(options: dict[str, object]) -> None:
    """Whatever a backend is said to be, it is valid or refused with a line for each problem."""
    found: tuple[str, ...] = ()
    try:
        FilestoreSettings(backends={"a": {"url": "memory://", **options}})
    except SettingsError as error:
        found = error.problems

    assert all(problem.startswith("FILESTORE_BACKENDS__A") for problem in found)
