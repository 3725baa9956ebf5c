"""The code on the pages for those who operate an application, run as a program of its own."""

from pathlib import Path

from tests.project.page_programs import blocks, run

CHECK = """
{blocks}

print(asyncio.run(find_mistakes()))
"""


def test_the_page_on_checks(tmp_path: Path) -> None:
    """An application whose tables nobody has made has this one mistake, and is told what to do."""
    (mistake,) = eval(run(CHECK.format(blocks=blocks("docs/check.md")[0]), tmp_path))  # noqa: S307 - the page's own

    assert mistake.startswith("database sqlite+aiosqlite:///app.db, tables: The database lacks documents")
