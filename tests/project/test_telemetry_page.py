"""docs/telemetry.md: its tables are those of the code, and its queries ask for what Prometheus is really given."""

import re
from pathlib import Path

import pytest
import yaml

from fastapi_filestore.telemetry import names
from fastapi_filestore.telemetry.names import Attribute
from tests.project.page_programs import blocks, run

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def said(part: str) -> str:
    """Return a part of the page that is made from the code."""
    return PAGE.partition(f"<!-- {part}:begin -->")[2].partition(f"<!-- {part}:end -->")[0].strip()


def attributes_of(attributes: tuple[Attribute, ...]) -> str:
    """Return the names of attributes as a cell of a table."""
    return ", ".join(f"`{attribute}`" for attribute in attributes)


def spans() -> str:
    """Return the table of spans."""
    rows = [f"| `{span.name}` | {span.meaning} | {attributes_of(span.attributes)} |" for span in names.SPANS]
    return "\n".join(["| span | meaning | attributes |", "| --- | --- | --- |", *rows])


def attributes() -> str:
    """Return the table of attributes."""
    known = [value for value in vars(names).values() if isinstance(value, Attribute)]
    rows = [f"| `{attribute}` | {attribute.meaning} |" for attribute in known]
    return "\n".join(["| attribute | meaning |", "| --- | --- |", *rows])


def metrics() -> str:
    """Return the table of metrics."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | `{metric.unit}` | {metric.meaning} | {attributes_of(metric.attributes)} |"
        for metric in names.METRICS
    ]
    return "\n".join(["| metric | kind | unit | meaning | attributes |", "| --- | --- | --- | --- | --- |", *rows])


@pytest.mark.parametrize(("part", "made"), [("spans", spans()), ("attributes", attributes()), ("metrics", metrics())])
def test_its_tables(part: str, made: str) -> None:
    """Every span, attribute and metric is there, with what it means."""
    assert said(part) == made


PROGRAM = """
from fastapi_filestore import add_ledger

add_ledger(Base.metadata)
{blocks}

async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True)
    async with lifespan(app), client:
        row = (await client.post("/documents/", data={{"title": "a"}}, files={{"file": ("n.txt", b"note")}})).json()
        await client.get(f"/documents/{{row['id']}}/file")
        await client.get(f"/documents/{{uuid4()}}")
        await files.backlog()
        print((await client.get("/metrics")).text)
    await engine.dispose()


asyncio.run(main())
"""


@pytest.mark.works_with("Prometheus (opentelemetry-exporter-prometheus)")
def test_its_queries(tmp_path: Path) -> None:
    """Each metric and label that a query or an alert names is exposed by the application that the page sets up."""
    exposed = run(PROGRAM.format(blocks="\n".join(blocks("docs/telemetry.md"))), tmp_path)
    rules = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked = " ".join([*re.findall(r"^\| [^|]+ \| `(.*)` \|$", PAGE, re.MULTILINE), *alerts])

    wanted = set(re.findall(r"\bfilestore_[a-z_]+", asked))
    assert len(wanted) > 10
    assert {name for name in wanted if not re.search(rf"\b{name}\b", exposed)} == set()
