"""A project with migrations: Alembic's own template, whose env.py knows the metadata and nothing else of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, create_engine, inspect, text

from tests.servers.postgres import Postgres


class Project:
    """Migrations of one database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.engine: Engine = create_engine(url)
        self.config = Config(folder / "alembic.ini")
        command.init(self.config, str(folder / "migrations"))
        self.config.set_main_option("sqlalchemy.url", url)
        env = folder / "migrations" / "env.py"
        source = env.read_text().replace("target_metadata = None", 'target_metadata = config.attributes["metadata"]')
        # The template's logging would be pytest's, too.
        env.write_text(source.replace("    fileConfig(config.config_file_name)", "    pass"))

    def configure(self, option: str) -> None:
        """Give `context.configure` one more option."""
        env = self.folder / "migrations" / "env.py"
        env.write_text(
            env.read_text().replace("target_metadata=target_metadata", f"target_metadata=target_metadata, {option}")
        )

    def revise(self, metadata: MetaData) -> str:
        """Let autogenerate write a migration and return its text."""
        self.config.attributes["metadata"] = metadata
        script: Any = command.revision(self.config, "next", autogenerate=True)
        return Path(script.path).read_text()

    def upgrade(self) -> None:
        """Run all migrations."""
        command.upgrade(self.config, "head")

    def downgrade(self, to: str = "base") -> None:
        """Undo migrations: all, or as many as said."""
        command.downgrade(self.config, to)

    def check(self, metadata: MetaData) -> None:
        """Fail if autogenerate finds anything left to do."""
        self.config.attributes["metadata"] = metadata
        command.check(self.config)

    def migrate(self, metadata: MetaData) -> str:
        """Write a migration, run it, undo it, run it again, and find nothing left to do."""
        script = self.revise(metadata)
        self.upgrade()
        self.check(metadata)
        self.downgrade("-1")
        self.upgrade()
        self.check(metadata)
        return script

    def tables(self, schema: str | None = None) -> set[str]:
        """Return the names of the tables there are."""
        return set(inspect(self.engine).get_table_names(schema=schema)) - {"alembic_version"}

    def triggers(self) -> set[str]:
        """Return the names of all triggers and trigger functions there are."""
        return triggers_in(self.engine)

    def run(self, *statements: str) -> None:
        """Run raw SQL in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def scalar(self, statement: str) -> Any:
        """Return what a query finds."""
        with self.engine.connect() as connection:
            return connection.scalar(text(statement))


def triggers_in(engine: Engine) -> set[str]:
    """Return the names of all triggers and trigger functions of ours in a database."""
    statement = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if engine.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL "
        "SELECT proname FROM pg_proc WHERE proname LIKE 'filestore%'"
    )
    with engine.connect() as connection:
        return set(connection.scalars(text(statement)))


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Alembic add the current folder to a path of the test's own: each of its commands does."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Iterator[Project]:
    """A project on SQLite, with batch mode as its tables need it."""
    project = Project(tmp_path, f"sqlite:///{tmp_path}/app.db")
    project.configure("render_as_batch=True")
    yield project
    project.engine.dispose()


@pytest.fixture
def postgres_project(tmp_path: Path, postgres_database: Postgres) -> Iterator[Project]:
    """A project on PostgreSQL."""
    project = Project(tmp_path, postgres_database.url("postgresql+psycopg"))
    yield project
    project.engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def project(request: pytest.FixtureRequest) -> Project:
    """A project on either database."""
    chosen: Project = request.getfixturevalue(f"{request.param}_project")
    return chosen
