"""The code on the page on readiness, run as a program of its own."""

from pathlib import Path

from tests.project.page_programs import blocks, run

READINESS = """
{blocks}


async def main():
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with client:
        before = await client.get("/ready")
        async with lifespan(app):
            await asyncio.sleep(0.01)
            ready, alive = await client.get("/ready"), await client.get("/health")
    print(before.status_code, before.json()["type"], ready.status_code, alive.json())
    await engine.dispose()


asyncio.run(main())
"""


def test_the_page_on_readiness(tmp_path: Path) -> None:
    """An application is ready once its lifespan has begun, and alive all the while."""
    page = "\n\n".join(blocks("docs/readiness.md")).replace("readiness()", "readiness(max_age=0.001)")

    assert run(READINESS.format(blocks=page), tmp_path) == "503 urn:fastapi-filestore:not-ready 200 {'status': 'ok'}\n"
