"""A collector that fails: what it was to be told of goes on, and the log has one line of it."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from tests.telemetry.conftest import REGISTRY, Traced

FILE = {"file": ("a.txt", b"x" * 100, "text/plain")}


class StartError(Exception):
    """A processor failed when a span began."""


class EndError(Exception):
    """A processor failed when a span ended."""


class Failing(SpanProcessor):
    """A processor with a mistake, which spans of the library make it do."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Fail if this is the mistake."""
        if self.error is StartError and span.name.startswith("filestore."):
            raise StartError

    def on_end(self, span: ReadableSpan) -> None:
        """Fail if this is the mistake."""
        if self.error is EndError and span.name.startswith("filestore."):
            raise EndError


@pytest.mark.parametrize("error", [StartError, EndError])
async def test_a_processor_that_fails(traced: Traced, error: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    """Files are stored, read and deleted all the same, and it is logged once."""
    traced.tracers.add_span_processor(Failing(error))
    created = await traced.client.post("/notes/", files=FILE)
    row = created.json()["id"]
    read = await traced.client.get(f"/notes/{row}/file")
    deleted = await traced.client.delete(f"/notes/{row}")

    assert (created.status_code, read.content, deleted.status_code) == (201, b"x" * 100, 204)
    assert [info.path async for info in REGISTRY.get_backend("shelf").list()] == []
    told = [record.message for record in caplog.records if "telemetry_failed" in record.message]
    assert len(told) == 1
    assert error.__name__ in told[0]
    assert traced.metric("filestore.io") == {("shelf", "in"): 100, ("shelf", "out"): 100}
