"""What FastAPI tells OpenTelemetry by itself, once there is a provider: nothing that lets anybody in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, ObstoreBackend, StorageError, StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner
from tests.security.conftest import SIGNING_KEY


@dataclass(frozen=True, slots=True)
class Traced:
    """An application whose telemetry is kept in memory."""

    client: AsyncClient
    registry: StorageRegistry
    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader
    logs: InMemoryLogRecordExporter

    def told(self) -> str:
        """Return all that was told of the requests so far."""
        spans = [span.to_json() for span in self.spans.get_finished_spans()]
        metrics = self.metrics.get_metrics_data()
        records = [each.to_json() for each in self.logs.get_finished_logs()]
        return "\n".join([*spans, "" if metrics is None else metrics.to_json(), *records])


class Broken(ObstoreBackend):
    """A store that fails in a way that nobody foresaw."""

    async def head(self, path: str) -> Any:
        """Fail."""
        raise RuntimeError("unforeseen")


@pytest.fixture
async def traced() -> AsyncIterator[Traced]:
    """The route of signed URLs, traced, metered and logged."""
    registry, reader = StorageRegistry(), InMemoryMetricReader()
    registry.register_backend(ObstoreBackend("web", "memory://"))
    registry.register_backend(Broken("broken", "memory://"))
    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    tracers, loggers, meters = TracerProvider(), LoggerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    files = Filestore(settings=FilestoreSettings(_env_file=None, signing_keys=[SIGNING_KEY]), registry=registry)
    app = FastAPI(telemetry={"tracer_provider": tracers, "meter_provider": meters, "logger_provider": loggers})
    app.include_router(files.signed_router())
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with files.lifespan(app), AsyncClient(transport=transport, base_url="http://site") as client:
        yield Traced(client, registry, spans, reader, logs)
    meters.shutdown()
    tracers.shutdown()
    loggers.shutdown()


@pytest.mark.works_with("OpenTelemetry")
async def test_no_token_is_in_a_span_a_metric_or_a_log(traced: Traced) -> None:
    """Of a signed URL there is the path, and never the token, whatever came of the request."""
    file = await FileObject("web", "a.txt", content=b"x", registry=traced.registry).save_async()
    upload = FileObject("web", "b.txt", registry=traced.registry)
    signer = traced.registry.signer
    assert isinstance(signer, UrlSigner)
    read, write = await file.sign_async(), (await upload.signed_url_async(method="PUT"))
    broken = signer.sign("broken", "a", method="GET", expires_in=60).url
    answers = [
        await traced.client.get(read),
        await traced.client.head(read),
        await traced.client.get(f"{read}&again=1"),
        await traced.client.get(f"{read}&sig=other&{read.partition('?')[2]}"),
        await traced.client.get(read.replace("/filestore", "/filestore/")),
        await traced.client.get(f"{read}x"),
        await traced.client.put(write.url, content=b"y", headers=dict(write.headers)),
        await traced.client.delete(read),
        await traced.client.get(broken),
    ]
    told = traced.told()

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 403, 201, 405, 500]
    assert told.count('"url.path": "/filestore"') == 8
    assert "http.server.request.duration" in told
    assert "unforeseen" in told
    for url in (read, write.url, broken):
        for part in url.partition("sig=")[2].split("."):
            assert part[:16] not in told


async def test_a_store_that_says_no_tells_no_token(traced: Traced) -> None:
    """An error of the store, which operators see, names the object, and not the URL by which it was asked for."""
    file = await FileObject("web", "a.txt", content=b"x", registry=traced.registry).save_async()
    url = await file.sign_async()
    await file.delete_async()

    with pytest.raises(StorageError) as caught:
        await FileObject("web", path=file.path, registry=traced.registry).confirm_async()
    assert (await traced.client.get(url)).status_code == 404
    assert url.partition("sig=")[2][:16] not in traced.told() + str(caught.value)


MANGLED = [
    "/filestore%3Fsig={token}",
    "/filestore%253Fsig%253D{token}",
    "/filestore/{token}",
    "/filestore&sig={token}",
    "/filestore?SIG={token}",
    "/filestore%3fSig%3d{token}&again=1",
    "/elsewhere?next=https%3A%2F%2Fsite%2Ffilestore%3Fsig%3D{token}",
    "/elsewhere?next=https%253A%252F%252Fsite%252Ffilestore%253Fsig%253D{token}",
    "/elsewhere?link=/filestore?sig={token}",
]
"""Links as mail programs, chats and people mangle them: no route of ours is asked."""


@pytest.mark.parametrize("link", MANGLED)
async def test_no_token_of_a_mangled_link_is_in_a_span(traced: Traced, link: str) -> None:
    """A token that lives is in no span, wherever in the path or the query a mangled link has it."""
    file = await FileObject("web", "a.txt", content=b"x", registry=traced.registry).save_async()
    token = (await file.sign_async()).partition("sig=")[2]

    answer = await traced.client.get(link.format(token=token))

    told = traced.told()
    assert answer.status_code in {403, 404}
    assert '"url.path": "/' in told
    for part in token.split("."):
        assert part[:16] not in told
