"""An application whose spans and metrics are kept in memory."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, StorageRegistry, StoredObject, add_ledger
from tests.web.site import SIGNING_KEY

REGISTRY = StorageRegistry()
"""Where the backends of these tests are."""


class Base(DeclarativeBase):
    """The tables of these tests."""


LEDGER = add_ledger(Base.metadata, name="traced_intents")


class Note(Base):
    """A row with a file of few bytes."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(registry=REGISTRY, max_size=1000))


@dataclass
class Traced:
    """An application, and what it told."""

    files: Filestore
    app: FastAPI
    client: AsyncClient
    engine: AsyncEngine
    tracers: TracerProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    folder: Path

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """Return the spans of a name, or all of the library's, in the order in which they ended."""
        spans = self.exporter.get_finished_spans()
        return [span for span in spans if (span.name == name if name else span.name.startswith("filestore."))]

    def parent_of(self, span: ReadableSpan) -> str | None:
        """Return the name of a span's parent."""
        names = {other.context.span_id: other.name for other in self.exporter.get_finished_spans() if other.context}
        return None if span.parent is None else names[span.parent.span_id]

    def metric(self, name: str) -> dict[tuple[Any, ...], Any]:
        """Return the points of a metric by the values of their attributes: of a histogram, how many were recorded."""
        data = self.reader.get_metrics_data()
        points: dict[tuple[Any, ...], Any] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points if metric.name == name else ():
                        assert isinstance(point, HistogramDataPoint | NumberDataPoint)
                        values = tuple((point.attributes or {}).values())
                        points[values] = point.count if isinstance(point, HistogramDataPoint) else point.value
        return points


@pytest.fixture
def options() -> Mapping[str, Any]:
    """Settings that a test wants beside the usual ones."""
    return {}


@pytest.fixture
async def traced(tmp_path: Path, options: Mapping[str, Any]) -> AsyncIterator[Traced]:
    """The router of notes, with telemetry of its own."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    settings = FilestoreSettings(
        _env_file=None,
        backends={"shelf": {"url": f"file://{tmp_path}/shelf"}},
        signing_keys=[SIGNING_KEY],
        **options,
    )
    telemetry = {"tracer_provider": tracers, "meter_provider": meters}
    files = Filestore(
        async_sessionmaker(engine, expire_on_commit=False), settings=settings, registry=REGISTRY, telemetry=telemetry
    )
    app = FastAPI(telemetry={"tracer_provider": tracers, "meter_provider": meters})
    app.include_router(files.router(Note), prefix="/notes")
    app.include_router(files.signed_router())
    async with (
        files.lifespan(app),
        AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://site") as client,
    ):
        yield Traced(files, app, client, engine, tracers, exporter, reader, tmp_path / "shelf")
    await engine.dispose()
    meters.shutdown()
    tracers.shutdown()
