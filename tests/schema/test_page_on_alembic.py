"""The code on docs/alembic.md, run by Alembic itself."""

import ast
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Column, Integer, MetaData, Table, select

from fastapi_filestore import StoredObject, add_ledger
from tests.project.page_programs import blocks
from tests.schema.conftest import Project

ENV, MIGRATION, COLUMN, FILLING, LIST = blocks("docs/alembic.md")
README = blocks("README.md")[0] + "\nfrom fastapi_filestore import add_ledger\nadd_ledger(Base.metadata)\n"


class Application(Project):
    """The README's application in the folder one is in, whose env.py has the page's lines."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"sqlite:///{folder}/app.db")
        self.configure("render_as_batch=True")
        env = folder / "migrations" / "env.py"
        env.write_text(env.read_text().replace('target_metadata = config.attributes["metadata"]', ENV))

    def write(self, column: str = "") -> str:
        """Write the application, with one more column, and its migration, run that, and find nothing left to do."""
        title = "    title: Mapped[str]\n"
        (self.folder / "app.py").write_text(README.replace(title, f"{title}{column}"))
        sys.modules.pop("app", None)
        return self.migrate(MetaData())


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """The README's application, migrated."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    made = Application(tmp_path)
    yield made
    made.engine.dispose()
    sys.modules.pop("app", None)


def statements(script: str) -> list[str]:
    """Return what a migration imports of ours, and does, however it is laid out."""
    parts = ast.parse(script).body
    [upgrade] = [part for part in parts if isinstance(part, ast.FunctionDef) and part.name == "upgrade"]
    imports = [part for part in parts if ast.unparse(part) == "import fastapi_filestore"]
    if ast.get_docstring(upgrade):
        del upgrade.body[0]
    return [ast.unparse(part) for part in (*imports, *upgrade.body)]


def test_the_migration_of_the_readme(application: Application) -> None:
    """Autogenerate writes what the page shows, with nothing configured but the metadata."""
    assert statements(MIGRATION) == statements(application.write())


def test_a_column_for_a_table_with_rows(application: Application) -> None:
    """It is empty at first, is filled by the page's script, and never empty from then on."""
    application.write()
    values = f'\'{uuid4().hex}\', \'Old\', \'{{"backend"\\: "b", "path"\\: "p"}}\''
    application.run(f"INSERT INTO documents (id, title, file) VALUES ({values})")
    application.write(COLUMN)
    exec(FILLING, {})  # noqa: S102 - the page's own
    asyncio.run(sys.modules["app"].engine.dispose())
    filled = application.scalar("SELECT json_extract(scan, '$.size') FROM documents")
    script = application.write(COLUMN.replace(" | None", ""))

    assert filled == len("Old")
    assert "batch_op.alter_column('scan'" in script


def test_a_list_for_a_table_with_rows(project: Project) -> None:
    """Rows that were there have an empty list, and autogenerate finds nothing left to do, on either database."""
    before, after = MetaData(), MetaData()
    pages: Column[Any] = Column("pages", StoredObject(multiple=True), nullable=False)
    for metadata, columns in ((before, []), (after, [pages])):
        add_ledger(metadata)
        Table("documents", metadata, Column("id", Integer, primary_key=True), *columns)
    project.migrate(before)
    project.run("INSERT INTO documents (id) VALUES (1)")
    made: Any = command.revision(project.config, "pages")
    script = Path(made.path)
    imports = "import sqlalchemy as sa\nimport fastapi_filestore\n"
    text = script.read_text().replace("import sqlalchemy as sa\n", imports)
    script.write_text(re.sub(r"(?<=Upgrade schema.\"\"\"\n)    pass\n", indent(LIST, "    "), text))
    project.upgrade()
    project.check(after)

    with project.engine.connect() as connection:
        assert connection.scalars(select(pages)).all() == [[]]
