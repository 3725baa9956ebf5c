"""Alembic's autogenerate writes migrations that run, and finds nothing left to do afterwards."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from fastapi_filestore import StoredObject, add_ledger
from tests.schema.conftest import Project

pytestmark = pytest.mark.works_with("Alembic")


def documents(metadata: MetaData, *columns: Column[object], schema: str | None = None) -> Table:
    """Define a table with a file, and more columns."""
    return Table(
        "documents",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("file", StoredObject("documents")),
        *columns,
        schema=schema,
    )


def test_columns_and_the_ledger(project: Project) -> None:
    """A migration creates file columns and the ledger, with nothing configured and no backend registered."""
    metadata = MetaData()
    add_ledger(metadata)
    documents(metadata, Column("pages", StoredObject("images", multiple=True)))
    script = project.migrate(metadata)

    assert project.tables() == {"documents", "filestore_intents"}
    assert "import fastapi_filestore\n" in script
    project.downgrade()
    assert project.tables() == set()


def test_a_column_that_gets_a_folder(project: Project) -> None:
    """A folder is no part of the database: a migration does not write it, and nothing is to do when it changes."""
    for prefix in ("", "letters/", lambda row: f"{row['id']}/"):
        metadata = MetaData()
        documents(metadata, Column("letter", StoredObject("documents", prefix=prefix)))
        script = project.migrate(metadata)

        assert ("op.create_table" in script) is (prefix == "")
        assert "letters" not in script


def test_a_migration_needs_the_import_only_where_it_is_used(project: Project) -> None:
    """A migration without file columns imports nothing of ours."""
    metadata = MetaData()
    Table("plain", metadata, Column("id", Integer, primary_key=True))

    assert "fastapi_filestore" not in project.migrate(metadata)


def test_a_ledger_of_another_name(project: Project) -> None:
    """A ledger's own name is kept, and so are its triggers'."""
    metadata = MetaData()
    add_ledger(metadata, name="garbage", triggers=True)
    documents(metadata)
    project.migrate(metadata)
    project.run('INSERT INTO documents (id, file) VALUES (1, \'{"backend": "b", "path": "p"}\')'.replace(":", "\\:"))
    project.run("DELETE FROM documents")

    assert project.tables() == {"documents", "garbage"}
    assert project.scalar("SELECT path FROM garbage") == "p"


def test_a_column_added_later(project: Project) -> None:
    """A file column added to a table that lives already is a migration like any other, with and without triggers."""
    for triggers in (False, True):
        before, after = MetaData(), MetaData()
        for metadata in (before, after):
            add_ledger(metadata, triggers=triggers)
        documents(before)
        documents(after, Column("pages", StoredObject("images", multiple=True)), Column("note", String(9)))
        project.migrate(before)
        script = project.migrate(after)

        assert ("create_file_triggers" in script) is triggers


def test_a_column_altered_and_dropped(project: Project) -> None:
    """A file column whose table is rebuilt, or that goes, takes its triggers along and leaves the others'."""
    before, after = MetaData(), MetaData()
    for metadata in (before, after):
        add_ledger(metadata, triggers=True)
    documents(before, Column("pages", StoredObject("images", multiple=True)), Column("title", String(9)))
    documents(after, Column("title", String(9), nullable=False))
    project.migrate(before)
    triggers = project.triggers()
    project.migrate(after)

    assert project.triggers() == triggers
    project.downgrade()
    assert project.triggers() == set()


def test_triggers_added_and_removed(project: Project) -> None:
    """Triggers for tables that live already are a migration, and so is their removal."""
    without, with_triggers = MetaData(), MetaData()
    add_ledger(without)
    add_ledger(with_triggers, triggers=True)
    for metadata in (without, with_triggers):
        documents(metadata)
    project.migrate(without)

    assert "op.create_file_triggers('documents', {'file': False}, key=['id'])" in project.migrate(with_triggers)
    assert project.triggers()
    assert "op.drop_file_triggers(" in project.migrate(without)
    assert project.triggers() == set()


def test_deleted_files_that_are_kept(project: Project) -> None:
    """The triggers' time is the ledger's, and another time is a migration."""
    before, after = MetaData(), MetaData()
    add_ledger(before, triggers=True)
    add_ledger(after, triggers=True, keep_deleted=timedelta(days=7))
    for metadata in (before, after):
        documents(metadata)
    project.migrate(before)

    assert "key=['id'], grace=604800.0)" in project.migrate(after)


def test_a_rename_by_hand(project: Project) -> None:
    """Nothing is left to do for triggers after a table and its columns were renamed by hand."""
    before, after = MetaData(), MetaData()
    for metadata in (before, after):
        add_ledger(metadata, triggers=True)
    documents(before)
    Table("papers", after, Column("number", Integer, primary_key=True), Column("scan", StoredObject("documents")))
    project.migrate(before)
    project.run(
        "ALTER TABLE documents RENAME TO papers",
        "ALTER TABLE papers RENAME COLUMN id TO number",
        "ALTER TABLE papers RENAME COLUMN file TO scan",
    )

    project.check(after)


def test_a_dropped_table(project: Project) -> None:
    """A table that goes takes its triggers along, and a downgrade brings both back."""
    full, bare = MetaData(), MetaData()
    add_ledger(full, triggers=True)
    add_ledger(bare, triggers=True)
    documents(full)
    project.migrate(full)
    triggers = project.triggers()
    project.migrate(bare)

    assert project.triggers() == set()
    project.downgrade("-1")
    assert project.triggers() == triggers


def test_triggers_that_somebody_dropped(project: Project) -> None:
    """`alembic check` finds a trigger missing that a migration by hand forgot, and autogenerate mends it."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    documents(metadata)
    project.migrate(metadata)
    on = "" if project.engine.dialect.name == "sqlite" else " ON documents"
    project.run(f"DROP TRIGGER filestore_documents_update{on}")

    with pytest.raises(CommandError, match="add_file_triggers"):
        project.check(metadata)
    project.revise(metadata)
    project.upgrade()
    project.check(metadata)


def test_create_all_and_alembic_agree(project: Project) -> None:
    """A database that create_all made has nothing left to migrate."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    documents(metadata, Column("pages", StoredObject("images", multiple=True)))
    metadata.create_all(project.engine)
    project.check(metadata)
    metadata.drop_all(project.engine)


def test_the_ledger_rebuilt_by_batch_mode(sqlite_project: Project) -> None:
    """On SQLite the ledger's table can be rebuilt although triggers refer to it."""
    before, after = MetaData(), MetaData()
    for metadata in (before, after):
        error = add_ledger(metadata, triggers=True).table.c.error
        error.nullable = metadata is before
        documents(metadata)
    sqlite_project.migrate(before)
    triggers = sqlite_project.triggers()
    sqlite_project.migrate(after)

    assert sqlite_project.triggers() == triggers


def test_schemas(postgres_project: Project) -> None:
    """On PostgreSQL tables and ledger may be in schemas of their own."""
    postgres_project.configure("include_schemas=True")
    postgres_project.run('CREATE SCHEMA "my app"', "CREATE SCHEMA books")
    metadata = MetaData(schema="my app")
    add_ledger(metadata, schema="books", triggers=True)
    documents(metadata)
    Table("notes", metadata, Column("id", ForeignKey("my app.documents.id"), primary_key=True))
    postgres_project.migrate(metadata)
    postgres_project.run(
        "INSERT INTO \"my app\".documents (id, file) VALUES (1, jsonb_build_object('backend', 'b', 'path', 'p'))"
    )
    postgres_project.run('TRUNCATE "my app".documents CASCADE')

    assert postgres_project.scalar("SELECT path FROM books.filestore_intents") == "p"
    postgres_project.downgrade()


def test_offline_migrations(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A migration with triggers can be written down as SQL."""
    metadata = MetaData()
    add_ledger(metadata, triggers=True)
    documents(metadata)
    project.revise(metadata)
    command.upgrade(project.config, "head", sql=True)

    assert "CREATE TRIGGER filestore_documents_delete" in capsys.readouterr().out


def test_a_subclass_of_the_type(project: Project) -> None:
    """A project's own type, made of ours, is rendered with its own import."""
    metadata = MetaData()
    Table("mine", metadata, Column("id", Integer, primary_key=True), Column("file", PictureColumn("pictures")))
    script = project.migrate(metadata)

    assert f"import {__name__}\n" in script


class PictureColumn(StoredObject):
    """A type of a project's own."""

    cache_ok = True

    def __repr__(self) -> str:
        return f"PictureColumn({self.backend!r})"


def test_the_command_line(tmp_path: Path) -> None:
    """In a fresh process, the commands of Alembic's tutorial work: nothing of ours is configured anywhere."""
    (tmp_path / "models.py").write_text(
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        "from fastapi_filestore import FileObject, StoredObject, add_ledger\n"
        "class Base(DeclarativeBase): ...\n"
        "class Document(Base):\n"
        "    __tablename__ = 'documents'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend='documents'))\n"
        "add_ledger(Base.metadata, triggers=True)\n"
    )
    alembic(tmp_path, "init", "migrations")
    env, ini = tmp_path / "migrations" / "env.py", tmp_path / "alembic.ini"
    env.write_text(
        env.read_text().replace("= None", "= Base.metadata").replace("\n\n", "\nfrom models import Base\n", 1)
    )
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", f"sqlite:///{tmp_path}/app.db"))
    for words in ("revision --autogenerate", "upgrade head", "check", "downgrade base", "upgrade head"):
        alembic(tmp_path, *words.split())


def alembic(folder: Path, *words: str) -> None:
    """Run a command of Alembic's."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
