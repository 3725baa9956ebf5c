"""The servers of the tests answer as the real ones would, and none outlives its test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from subprocess import PIPE

import psycopg
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store
from sqlalchemy import Connection, text

from tests.servers.azurite import Azurite, run_azurite
from tests.servers.gcs import GCS, run_gcs
from tests.servers.postgres import Databases, Postgres, run_postgres
from tests.servers.process import served, temporary_folder
from tests.servers.seaweedfs import SeaweedFS, run_seaweedfs

ROOT = Path(__file__).parents[2]
RUNS = (run_seaweedfs, run_azurite, run_gcs, run_postgres)
each_server = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)


def s3_store(server: SeaweedFS, access_key: str, secret_key: str) -> S3Store:
    """Return a store of obstore's on SeaweedFS, with a key pair."""
    return S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=access_key,
        secret_access_key=secret_key,
        client_options={"allow_http": True},
    )


def azure_store(server: Azurite, account_key: str) -> AzureStore:
    """Return a store of obstore's on Azurite, with an account key."""
    return AzureStore(
        server.container,
        endpoint=server.endpoint,
        account_name=server.account,
        account_key=account_key,
        client_options={"allow_http": True},
    )


def gcs_store(server: GCS) -> GCSStore:
    """Return a store of obstore's on the GCS server and its shim."""
    return GCSStore(
        server.bucket,
        service_account_key=server.service_account_json,
        client_options={"allow_http": True},
    )


def test_seaweedfs_stores_an_object(seaweedfs: SeaweedFS) -> None:
    """The key pair that may write stores an object and reads it back."""
    store = s3_store(seaweedfs, seaweedfs.access_key, seaweedfs.secret_key)

    store.put("servers/hello", b"hello")

    assert bytes(store.get("servers/hello").bytes()) == b"hello"


def test_seaweedfs_refuses_to_write_with_the_readonly_key(seaweedfs: SeaweedFS) -> None:
    """The key pair that may only read can list but not write."""
    store = s3_store(seaweedfs, seaweedfs.readonly_access_key, seaweedfs.readonly_secret_key)

    assert store.list("servers-nothing").collect() == []
    with pytest.raises(PermissionDeniedError):
        store.put("servers/forbidden", b"")


def test_azurite_stores_an_object(azurite: Azurite) -> None:
    """The account's key stores an object and reads it back."""
    store = azure_store(azurite, azurite.account_key)

    store.put("servers/hello", b"hello")

    assert bytes(store.get("servers/hello").bytes()) == b"hello"


def test_azurite_refuses_another_key(azurite: Azurite) -> None:
    """A wrong account key is refused."""
    store = azure_store(azurite, "d3Jvbmc=")

    with pytest.raises((PermissionDeniedError, UnauthenticatedError)):
        store.put("servers/forbidden", b"")


def test_gcs_keeps_content_type_disposition_and_metadata(gcs: GCS) -> None:
    """What a PUT says of an object comes back with it, and the entity tag is the same everywhere."""
    store = gcs_store(gcs)
    attributes = {"Content-Type": "text/plain", "Content-Disposition": "inline", "colour": "red"}

    put = store.put("servers/attributes é?#%", b"hello", attributes=attributes)
    got = store.get("servers/attributes é?#%")
    listed = {each["path"]: each["e_tag"] for each in store.list("servers").collect()}

    assert got.attributes == attributes
    assert put["e_tag"] == got.meta["e_tag"] == listed["servers/attributes é?#%"]


def test_gcs_stores_parts_as_one_object(gcs: GCS) -> None:
    """A multipart upload becomes one object with the attributes it began with."""
    store = gcs_store(gcs)
    content = os.urandom(11 * 1024 * 1024)

    store.put("servers/parts", content, chunk_size=5 * 1024 * 1024, attributes={"Content-Type": "image/png"})

    assert bytes(store.get("servers/parts").bytes()) == content
    assert store.get("servers/parts").attributes["Content-Type"] == "image/png"


def test_gcs_creates_an_object_only_once(gcs: GCS) -> None:
    """Neither a put nor a copy that must create may overwrite."""
    store = gcs_store(gcs)
    store.put("servers/once", b"first", mode="create")

    with pytest.raises(AlreadyExistsError):
        store.put("servers/once", b"second", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.copy("servers/once", "servers/once", overwrite=False)


def test_gcs_copies_an_object_with_its_attributes(gcs: GCS) -> None:
    """A copy has the content and the attributes of its source."""
    store = gcs_store(gcs)
    store.put("servers/source", b"hello", attributes={"Content-Type": "text/plain", "colour": "red"})

    store.copy("servers/source", "servers/copy é")

    assert bytes(store.get("servers/copy é").bytes()) == b"hello"
    assert store.get("servers/copy é").attributes == {"Content-Type": "text/plain", "colour": "red"}


def test_gcs_says_what_is_missing(gcs: GCS) -> None:
    """A missing bucket and a missing object have different codes, as they have at Google."""
    elsewhere = GCSStore("no-bucket", service_account_key=gcs.service_account_json, client_options={"allow_http": True})

    with pytest.raises(FileNotFoundError, match="NoSuchKey"):
        gcs_store(gcs).get("servers/missing")
    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        elsewhere.get("missing")
    with pytest.raises(GenericError, match="NoSuchBucket"):
        elsewhere.list().collect()


def test_each_postgres_database_is_new(postgres: Postgres, postgres_database: Postgres) -> None:
    """A test's database is empty and not the one of the server."""
    with psycopg.connect(postgres_database.url("postgresql")) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()

    assert tables == []
    assert postgres_database.database != postgres.database


def test_a_copy_of_a_template_has_its_tables_and_no_rows(postgres_databases: Databases) -> None:
    """What a test writes into its copy is in no other one."""
    created = []

    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE things (id integer)"))
        created.append(connection)

    for _ in range(2):
        with psycopg.connect(postgres_databases.copy("things", create).url("postgresql")) as connection:
            assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
            connection.execute("INSERT INTO things VALUES (1)")

    assert len(created) == 1


@pytest.mark.parametrize(
    ("change", "is_given_again"),
    [
        ("INSERT INTO things DEFAULT VALUES", True),
        ("DELETE FROM things", True),
        ("ALTER TABLE things ADD title text", False),
        ("CREATE TABLE others (id integer)", False),
        ("CREATE SCHEMA others", False),
        ("CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'", False),
        ("ALTER TABLE things DISABLE TRIGGER USER", False),
        ("GRANT SELECT ON things TO PUBLIC", False),
        ("ALTER TABLE things ENABLE ROW LEVEL SECURITY", False),
        ("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 99', current_database()); END $$", False),
    ],
)
def test_a_copy_is_given_again_without_its_rows(postgres: Postgres, change: str, is_given_again: bool) -> None:
    """A copy whose rows alone were changed is the next one, as new; one that was changed otherwise is not."""

    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE things (id integer GENERATED ALWAYS AS IDENTITY)"))
        connection.execute(text("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"))
        connection.execute(text("CREATE TRIGGER kept AFTER TRUNCATE ON things EXECUTE FUNCTION keep()"))

    with psycopg.connect(postgres.url("postgresql"), autocommit=True) as server:
        databases = Databases(postgres, server)
        first = databases.copy("things", create)
        with psycopg.connect(first.url("postgresql")) as connection:
            connection.execute("INSERT INTO things DEFAULT VALUES")
            connection.execute(change.encode())
        databases.take_back()
        second = databases.copy("things", create)
        with psycopg.connect(second.url("postgresql")) as connection:
            connection.execute("INSERT INTO things DEFAULT VALUES")
            rows = connection.execute("SELECT * FROM things").fetchall()
        databases.clear()

    assert rows == [(1,)]
    assert (second == first) is is_given_again


def test_postgres_refuses_another_password(postgres: Postgres) -> None:
    """The password counts."""
    wrong = postgres.url("postgresql").replace(postgres.password, "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


@each_server
def test_no_process_outlives_its_server(run: Callable[[], AbstractContextManager[object]]) -> None:
    """When the block ends, so have the server and everything it started."""
    before = descendants(os.getpid())

    with served(run):
        started = descendants(os.getpid()) - before

    assert started
    assert not [pid for pid in started if is_alive(pid)]


@pytest.mark.parametrize("run", [run_azurite, run_postgres], ids=lambda run: run.__name__)
def test_no_server_outlives_a_killed_test_run(run: Callable[[], AbstractContextManager[object]]) -> None:
    """A test run that is killed without a chance to clean up takes its servers with it."""
    with temporary_folder("killed") as folder:
        folder.chmod(0o711)
        environment = {**os.environ, "TMPDIR": str(folder)}
        command = command_that_runs(run)
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdin=PIPE, stdout=PIPE) as parent:
            assert parent.stdout is not None
            ready = parent.stdout.readline()
            started = descendants(parent.pid)
            parent.send_signal(signal.SIGKILL)

        assert ready == b"ready\n"
        assert started
        assert all_end(started, within=10)


def command_that_runs(run: Callable[[], AbstractContextManager[object]]) -> list[str]:
    """Return the command of a process that runs a server until its input ends."""
    code = f"from {run.__module__} import {run.__name__} as run\nwith run(): print('ready', flush=True); input()"
    return [sys.executable, "-c", code]


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes below one."""
    children: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended meanwhile
        for each in Path(f"/proc/{pid}/task").glob("*/children"):
            children |= {int(child) for child in each.read_text().split()}
    return children.union(*(descendants(child) for child in children))


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # it may end between the opening and the reading
        return False


def all_end(pids: set[int], *, within: float) -> bool:
    """Wait some seconds for processes to end."""
    deadline = time.monotonic() + within
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, pids))
