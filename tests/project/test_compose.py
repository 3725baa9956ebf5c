"""docker-compose.yml says what it means, keeps no secret, and sets variables that exist."""

import os
import re
import subprocess
import sys
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.storage.blob import BlobServiceClient

from fastapi_filestore.settings import FilestoreSettings
from tests.servers.azurite import Azurite

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):\?[^}]+\}")
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
SECRET_NAMES = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|ACCOUNTS|SIGNING_KEYS|CONNECTION_STRING|TOKEN|DATABASE_URL")

SECRET = b64encode(bytes(range(30))).decode()

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """The services by name."""
    document: dict[str, dict[str, Service]] = yaml.safe_load(TEXT)
    return document["services"]


def environment_of(service: Service) -> dict[str, str]:
    """Return a service's variables."""
    environment: dict[str, str] = service.get("environment", {})
    return environment


def test_every_lasting_service_has_a_health_check(services: dict[str, Service]) -> None:
    """Each service has a health check, except the one whose end another waits for."""
    jobs = {
        name
        for service in services.values()
        for name, dependency in service.get("depends_on", {}).items()
        if dependency["condition"] == "service_completed_successfully"
    }
    unchecked = {name for name, service in services.items() if not service.get("healthcheck", {}).get("test")}

    assert unchecked == jobs == {"azure-container"}


def test_every_dependency_is_waited_for(services: dict[str, Service]) -> None:
    """Nothing starts before what it needs is ready, and what it needs exists."""
    dependencies = [item for service in services.values() for item in service.get("depends_on", {}).items()]

    assert {name for name, _ in dependencies} <= set(services)
    assert {dependency["condition"] for _, dependency in dependencies} <= {
        "service_healthy",
        "service_completed_successfully",
    }


def test_every_secret_comes_from_a_required_variable(services: dict[str, Service]) -> None:
    """No password has a value here, nor a default."""
    secrets = {
        name: value
        for service in services.values()
        for name, value in environment_of(service).items()
        if SECRET_NAMES.search(name)
    }

    assert secrets
    assert [name for name, value in secrets.items() if not REQUIRED_VARIABLE.search(value)] == []
    assert set(re.findall(r"\$\{(\w+):?-", TEXT)) == {"PORT", "S3_PORT"}


def test_the_example_of_env_names_every_required_variable() -> None:
    """`.env.example` has each required variable once, without a value."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = [line.removesuffix("=") for line in lines if line and not line.startswith("#")]

    assert sorted(names) == sorted(set(REQUIRED_VARIABLE.findall(TEXT)))


def test_little_is_published_and_on_loopback_alone(services: dict[str, Service]) -> None:
    """Nothing can be reached from this machine but the application, and the store that browsers get signed URLs of."""
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert set(ports) == {"app", "s3"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


def test_urls_are_signed_for_what_is_published(services: dict[str, Service]) -> None:
    """Browsers are sent to the port at which the store is published, whatever that is."""
    endpoint = environment_of(services["app"])["FILESTORE_BACKENDS__DOCUMENTS__PUBLIC_ENDPOINT"]
    (published,) = services["s3"]["ports"]

    assert f"http://{published.removesuffix(':8333')}" == endpoint


def test_the_application_understands_its_settings(
    services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads both backends from the variables that the file sets."""
    for name, value in environment_of(services["app"]).items():
        monkeypatch.setenv(name, DEFAULT.sub(r"\1", REQUIRED_VARIABLE.sub(SECRET, value)))

    settings = FilestoreSettings(_env_file=None)

    assert settings.probe
    assert settings.sweep_every == timedelta(minutes=5)
    assert [key.get_secret_value() for key in settings.signing_keys] == [SECRET]
    assert {name: backend.url for name, backend in settings.backends.items()} == {
        "documents": "s3://documents/",
        "archive": "az://archive/",
    }


def test_the_containers_job_makes_the_container(azurite: Azurite) -> None:
    """The job makes the container, and says nothing if it is there already."""
    command: list[str | Path] = [sys.executable, ROOT / "docker" / "azure_container.py", "archive"]
    environment = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}

    for _ in range(2):
        subprocess.run(command, env=environment, check=True)

    with BlobServiceClient.from_connection_string(azurite.connection_string) as account:
        assert "archive" in [container.name for container in account.list_containers()]
