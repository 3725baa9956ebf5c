"""What settings are when they are right."""

import pickle

import pytest
from pydantic import SecretStr, ValidationError

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings import BackendSettings, FilestoreSettings
from tests.settings.conftest import Problems, Read

KEY, OLD_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 3


def test_nothing_set_is_one_backend_on_local_disk() -> None:
    """Without any variable there is a backend `default` in a folder of the working directory."""
    settings = FilestoreSettings()

    assert settings.backends == {"default": BackendSettings(url="file://./data/files")}
    assert settings.default_backend == "default"
    assert (settings.signing_keys, settings.public_url, settings.probe) == ((), "", False)
    assert (settings.max_upload_size, settings.max_field_size) == (1024**3, 64 * 1024)
    assert (settings.max_form_fields, settings.url_expiry) == (100, 3600)
    assert (settings.max_json_size, settings.max_json_values, settings.max_json_depth) == (1024**2, 10_000, 64)


def test_reads_every_setting(read: Read) -> None:
    """Each variable sets the field of its name."""
    settings = read(
        {
            "PROBE": "1",
            "PUBLIC_URL": "https://files.example.com/app/",
            "MAX_UPLOAD_SIZE": "2 GiB",
            "MAX_FORM_FIELDS": "0",
            "MAX_FIELD_SIZE": "1MB",
            "MAX_JSON_SIZE": "2 MiB",
            "MAX_JSON_VALUES": "7",
            "MAX_JSON_DEPTH": "8",
            "URL_EXPIRY": "60",
        }
    )

    assert (settings.probe, settings.public_url) == (True, "https://files.example.com/app")
    assert (settings.max_upload_size, settings.max_field_size) == (2 * 1024**3, 1_000_000)
    assert (settings.max_form_fields, settings.url_expiry) == (0, 60)
    assert (settings.max_json_size, settings.max_json_values, settings.max_json_depth) == (2 * 1024**2, 7, 8)


def test_reads_backends_by_name(read: Read) -> None:
    """A backend set by variables replaces the one on local disk, and its name is in lower case."""
    settings = read({"BACKENDS__COMPANY_DOCS__URL": "s3://docs/", "BACKENDS__COMPANY_DOCS__AWS_REGION": "us-west-2"})

    assert settings.backends == {"company_docs": BackendSettings(url="s3://docs/", aws_region="us-west-2")}


@pytest.mark.parametrize(
    ("names", "default"),
    [(["default", "images"], "default"), (["images"], "images"), (["documents", "images"], None), ([], "default")],
)
def test_chooses_the_default_backend(read: Read, names: list[str], default: str | None) -> None:
    """The default is the backend of that name, else the only one, else none."""
    settings = read({f"BACKENDS__{name.upper()}__URL": "memory://" for name in names})

    assert settings.default_backend == default


def test_the_default_backend_may_be_named(read: Read) -> None:
    """A variable chooses the default among several, in any case."""
    backends = {f"BACKENDS__{name}__URL": "memory://" for name in ("DEFAULT", "DOCUMENTS")}

    assert read({**backends, "DEFAULT_BACKEND": "Documents"}).default_backend == "documents"


@pytest.mark.parametrize(
    "text", [f"{KEY},{OLD_KEY}", f" {KEY} , {OLD_KEY},", f"{KEY}\n{OLD_KEY}\n", f'["{KEY}", "{OLD_KEY}"]']
)
def test_signing_keys_are_a_list(read: Read, text: str) -> None:
    """Signing keys come separated by commas or lines, or as a JSON list, and keep their order."""
    settings = read({"SIGNING_KEYS": text})

    assert [key.get_secret_value() for key in settings.signing_keys] == [KEY, OLD_KEY]


def test_takes_arguments() -> None:
    """What the environment can set, arguments can, and only the backends given exist."""
    settings = FilestoreSettings(
        backends={"media": {"url": "memory://"}, "docs": BackendSettings(url="memory://")},
        default_backend="docs",
        signing_keys=[KEY],
        max_upload_size="1 KiB",
    )

    assert (list(settings.backends), settings.default_backend) == (["media", "docs"], "docs")
    assert settings.signing_keys == (SecretStr(KEY),)
    assert settings.max_upload_size == 1024


def test_no_backend_at_all_can_be_asked_for() -> None:
    """An application that registers its backends itself passes an empty mapping."""
    settings = FilestoreSettings(backends={})

    assert (settings.backends, settings.default_backend) == ({}, None)


def test_settings_are_frozen() -> None:
    """Neither the settings nor those of a backend can be changed once they are read."""
    settings = FilestoreSettings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.probe = True
    with pytest.raises(ValidationError, match="frozen"):
        settings.backends["default"].url = "memory://"


def test_settings_survive_pickling(read: Read) -> None:
    """Settings reach a worker process as they are."""
    settings = read({"SIGNING_KEYS": KEY, "BACKENDS__DOCUMENTS__URL": "s3://docs/"})

    assert pickle.loads(pickle.dumps(settings)) == settings


def test_an_empty_variable_is_an_unset_one(read: Read) -> None:
    """Compose files set variables to nothing; that means the default."""
    settings = read({"PROBE": "", "URL_EXPIRY": " ", "DEFAULT_BACKEND": "", "SIGNING_KEYS": ""})

    assert settings == FilestoreSettings(_env_file=None)
    assert settings.url_expiry == 3600


def test_an_empty_url_never_falls_back_to_local_disk(read: Read) -> None:
    """A URL that is set to nothing stops the start, else files would go to the container's own disk."""
    with pytest.raises(SettingsError, match="FILESTORE_BACKENDS__DOCUMENTS__URL is '': use s3://"):
        read({"BACKENDS__DOCUMENTS__URL": ""})


def test_ignores_what_kubernetes_says_of_a_service(read: Read) -> None:
    """A Kubernetes Service called filestore puts variables into every pod; they are no typos of ours."""
    links = {"SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "80", "SERVICE_PORT_HTTP": "80", "PORT": "tcp://10.0.0.1:80"}
    ports = {"PORT_80_TCP": "tcp://10.0.0.1:80", "PORT_80_TCP_ADDR": "10.0.0.1", "PORT_80_TCP_PORT": "80"}

    assert read(links | ports) == FilestoreSettings(_env_file=None)


@pytest.mark.parametrize("service", ["API", "API_V2", "BACKENDS", "URL"])
def test_ignores_what_kubernetes_says_of_services_whose_names_begin_alike(read: Read, service: str) -> None:
    """A Service that is called "filestore-api" does not stop the start of what runs beside it."""
    links = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.1:8000",
        "PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "PORT_8000_TCP_ADDR": "10.0.0.1",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_53_UDP_PROTO": "udp",
    }

    assert read({f"{service}_{name}": value for name, value in links.items()}) == FilestoreSettings(_env_file=None)


def test_a_port_is_no_setting(problems: Problems) -> None:
    """What looks like a link and has no link's value is a wrong setting like any other."""
    assert problems({"API_PORT": "8000"})[0].startswith("FILESTORE_API_PORT is not a setting")
