"""The code on the page on generated clients that is the application's, run as a program of its own."""

from ast import literal_eval
from pathlib import Path

from tests.project.page_programs import blocks, run

ROUTES = """
get_document_service = files.service(Document)
{block}

files.describe(app)
operation = app.openapi()["paths"]["/reports/{{identity}}/file"]["get"]
print(operation["operationId"], next(iter(operation["responses"]["200"]["content"].values())))
print([parameter["name"] for parameter in operation["parameters"]])
"""


def test_the_page_on_generated_clients(tmp_path: Path) -> None:
    """A route of one's own says that it answers with bytes, and which headers it heeds."""
    _, block = blocks("docs/generated-clients.md")

    first, second = run(ROUTES.format(block=block), tmp_path).splitlines()

    assert first == "download_report {'schema': {'type': 'string', 'format': 'binary'}}"
    assert {"identity", "Range", "If-None-Match"} <= set(literal_eval(second))
