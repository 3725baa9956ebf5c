"""Processes, event loops and threads, and what the environment may and may not change."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from fastapi_filestore.errors import ConfigurationError, ForkedProcessError, StorageError
from fastapi_filestore.storage.obstore.opening.client import take_client_options
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.relay import relayed
from tests.storage.stores import MIB, QUICK_RETRIES, make_backend

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def _in_fork(work: Callable[[], object]) -> str:
    """Run work in a forked process, and return what it returned or raised, as text."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(work())
        except BaseException as exc:  # noqa: BLE001 the parent shows it
            answer = type(exc).__name__
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        result = answers.read()
    os.waitpid(pid, 0)
    return result


async def test_fork_after_use(memory: ObstoreBackend) -> None:
    """A process forked after storage was used gets an error at once, from old and new backends, not a hang."""
    await memory.put("k", b"x")

    def work(backend: ObstoreBackend) -> object:
        try:
            asyncio.new_event_loop().run_until_complete(asyncio.wait_for(backend.head("k"), 5))
        except ForkedProcessError as exc:
            return exc.backend
        return "no error"

    assert _in_fork(lambda: work(memory)) == "memory"
    assert _in_fork(lambda: work(ObstoreBackend("new", "memory://"))) == "new"
    assert (await memory.head("k")).size == 1


FORK_BEFORE_USE = """
import asyncio, os, sys
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
backend = ObstoreBackend("docs", "s3://{bucket}/{prefix}", aws_endpoint="{endpoint}", aws_region="{region}",
                         aws_access_key_id="{access_key}", aws_secret_access_key="{secret_key}")
pids = []
for name in ("a", "b"):
    pid = os.fork()
    if pid == 0:
        asyncio.run(asyncio.wait_for(backend.put(name, b"x"), 20))
        os._exit(0)
    pids.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in pids]
asyncio.run(asyncio.wait_for(backend.put("parent", b"x"), 20))
sys.exit(max(codes))
"""


async def test_fork_before_use(request: pytest.FixtureRequest, seaweedfs: Any) -> None:
    """A backend that was made but not used before a fork works in every process, as with gunicorn's preload."""
    backend = make_backend("seaweedfs", request)
    fields = {name: getattr(seaweedfs, name) for name in ("bucket", "endpoint", "region", "access_key", "secret_key")}
    script = FORK_BEFORE_USE.format(prefix=backend.url.rpartition("/")[2], **fields)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)

    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert [info.path async for info in backend.list()] == ["a", "b", "parent"]


EXIT_AFTER_USE = """
import asyncio
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

async def use():
    backend = ObstoreBackend("memory", "memory://")
    await asyncio.gather(*(backend.put(str(number), b"x") for number in range(50)))

asyncio.run(use())
"""


async def test_exit_right_after_use() -> None:
    """A process that ends right after its last operation ends well, as a command must."""
    command = (sys.executable, "-c", EXIT_AFTER_USE)
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(3)]
    codes = [await asyncio.wait_for(process.wait(), 60) for process in processes]

    assert codes == [0] * 3


async def test_threads_and_loops(backend: ObstoreBackend) -> None:
    """One backend serves many threads, each with event loops of its own."""
    failures: list[BaseException] = []

    async def round_trip(key: str) -> None:
        await backend.put(key, key.encode(), if_absent=True)
        assert await (await backend.open(key)).read() == key.encode()

    def work(name: int) -> None:
        try:
            for turn in range(3):
                asyncio.run(round_trip(f"{name}-{turn}"))
        except BaseException as exc:  # noqa: BLE001 shown by the assert below
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    assert failures == []
    assert len([info async for info in backend.list()]) == 18


async def test_memory_of_an_upload(s3: ObstoreBackend) -> None:
    """An upload of 200 MiB from a stream takes a few parts of memory, not the content's size."""

    async def source() -> Any:
        for _ in range(200):
            yield bytes(MIB)

    await s3.put("warm", source(), chunk_size=8 * MIB)
    before = _resident_mib()
    peaks: list[int] = []

    async def watched() -> Any:
        async for chunk in source():
            peaks.append(_resident_mib())
            yield chunk

    await s3.put("k", watched())

    assert max(peaks) - before < 100


def _resident_mib() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


# -- the environment -------------------------------------------------------------------------------


def _on_relay(endpoint: str, server: Any, **options: object) -> ObstoreBackend:
    given = {"aws_endpoint": endpoint, "aws_region": server.region, "retry_config": QUICK_RETRIES}
    return ObstoreBackend("s3", f"s3://{server.bucket}/environment", **(given | options))


async def test_stale_environment(seaweedfs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are given are used alone: a stale token, endpoint or switch of the environment changes nothing."""
    stale = {
        "AWS_SESSION_TOKEN": "stale-token",
        "AWS_ACCESS_KEY_ID": "stale",
        "AWS_SECRET_ACCESS_KEY": "stale",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "mars-1",
    }
    for name, value in stale.items():
        monkeypatch.setenv(name, value)
    async with relayed(seaweedfs.endpoint) as relay:
        keys = {"aws_access_key_id": seaweedfs.access_key, "aws_secret_access_key": seaweedfs.secret_key}
        backend = _on_relay(relay.endpoint, seaweedfs, **keys)
        await backend.put("k", b"x")
        url = (await backend.sign("k", expires_in=60)).url

    assert "token" not in (relay.headers[0] + url).lower()
    assert "/us-east-1/s3/" in relay.headers[0]


async def test_session_token(seaweedfs: Any) -> None:
    """A session token that is given is sent."""
    async with relayed(seaweedfs.endpoint) as relay:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_session_token": "my-token"}
        with pytest.raises(StorageError):
            await _on_relay(relay.endpoint, seaweedfs, **keys).put("k", b"x")

    assert "x-amz-security-token: my-token" in relay.headers[0]


async def test_keys_of_the_environment(seaweedfs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys given, the environment's are used."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.secret_key)
    backend = _on_relay(seaweedfs.endpoint, seaweedfs)

    assert (await backend.put("k", b"x")).size == 1


async def test_keys_of_a_profile(seaweedfs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without keys given, those of ~/.aws are used, and the profile's region."""
    credentials = tmp_path / "credentials"
    keys = f"aws_access_key_id={seaweedfs.access_key}\naws_secret_access_key={seaweedfs.secret_key}"
    credentials.write_text(f"[mine]\n{keys}\nregion=us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "mine")

    async with relayed(seaweedfs.endpoint) as relay:
        await _on_relay(relay.endpoint, seaweedfs, aws_region=None).put("k", b"x")

    assert f"Credential={seaweedfs.access_key}/" in relay.headers[0]


async def test_no_keys_anywhere(seaweedfs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any keys the error says so, soon, and nothing was asked when the backend was made."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    backend = _on_relay(seaweedfs.endpoint, seaweedfs)
    with pytest.raises(StorageError) as caught:
        await backend.put("k", b"x")

    assert "credentials" in str(caught.value)


async def test_r2_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """R2 is asked with the region that it has, whatever the environment says."""
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    backend = ObstoreBackend("r2", "s3://b", aws_endpoint="https://acc.r2.cloudflarestorage.com", **keys)

    assert "%2Fauto%2Fs3%2F" in (await backend.sign("k", expires_in=60)).url


async def test_azure_environment(azurite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection string is used alone: key, token and endpoint of the environment change nothing."""
    for name, value in {
        "AZURE_STORAGE_ACCOUNT_NAME": "other",
        "AZURE_STORAGE_ACCOUNT_KEY": "b3RoZXI=",
        "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x",
        "AZURE_STORAGE_TOKEN": "bearer",
        "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    backend = ObstoreBackend(
        "az", f"az://{azurite.container}/env", azure_storage_connection_string=azurite.connection_string
    )
    await backend.put("k", b"x")
    signed = await backend.sign("k", expires_in=60)

    async with httpx.AsyncClient() as client:
        assert (await client.get(signed.url)).content == b"x"


async def test_azure_sas(azurite: Any) -> None:
    """A SAS token works for what it permits."""
    token = generate_container_sas(
        azurite.account,
        azurite.container,
        account_key=azurite.account_key,
        permission=ContainerSasPermissions(read=True, write=True, list=True, delete=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    backend = ObstoreBackend(
        "az",
        f"az://{azurite.container}/sas",
        azure_storage_account_name=azurite.account,
        azure_storage_sas_token=f"?{token}",
        azure_endpoint=azurite.endpoint,
    )
    await backend.put("k", b"x", metadata={"a": "ü"})

    assert (await backend.head("k")).metadata == {"a": "ü"}
    await backend.probe()


def test_gcs_environment(gcs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment's service account can't be overruled, that is said."""
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/nowhere")
    with pytest.raises(ConfigurationError, match="unset it"):
        ObstoreBackend("g", "gs://b", google_service_account=gcs.service_account_json)


def test_timeouts_by_default() -> None:
    """By default a whole response may take a day, the store's silence ten seconds, a connection five seconds."""
    options = take_client_options({}, endpoint=None, variables="NONE_")

    assert (options["timeout"], options["connect_timeout"]) == (timedelta(days=1), timedelta(seconds=5))
    assert options["read_timeout"] == timedelta(seconds=10)
