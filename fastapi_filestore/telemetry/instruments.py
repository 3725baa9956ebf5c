"""Tell spans and metrics, by OpenTelemetry's API alone: the only module that imports it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, NoOpMeterProvider, Observation
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    use_span,
)

from fastapi_filestore.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UploadError,
)
from fastapi_filestore.events import TELEMETRY_FAILED
from fastapi_filestore.telemetry import names
from fastapi_filestore.telemetry.names import Metric, SpanName
from fastapi_filestore.version import DISTRIBUTION, __version__

T = TypeVar("T")

OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (ObjectNotFoundError, "missing"),
    (ObjectExistsError, "exists"),
    (PreconditionFailedError, "changed"),
    (UploadError, "refused"),
    (asyncio.CancelledError, "cancelled"),
    (GeneratorExit, "ok"),  # whoever iterates has seen enough
)
"""By the class of an error; any other one is a failure."""


@dataclass(slots=True)
class Ledgers:
    """The intents of the ledgers as they were counted last."""

    due: int
    waiting: int
    failing: int
    oldest: float | None
    reserved: int
    counted: float


class Meters:
    """The instruments of one provider of metrics, made once, however many applications tell them something."""

    def __init__(self, provider: MeterProvider, memory: Callable[[], tuple[int, int]]) -> None:
        meter = provider.get_meter(DISTRIBUTION, __version__)
        self.ledgers: Ledgers | None = None

        def described(metric: Metric) -> dict[str, str]:
            return {"name": metric.name, "unit": metric.unit, "description": metric.meaning}

        def gauge(metric: Metric, value: Callable[[], float | None]) -> None:
            def observe(_: CallbackOptions) -> Iterable[Observation]:
                return [] if (number := value()) is None else [Observation(number)]

            meter.create_observable_gauge(callbacks=[observe], **described(metric))

        self.duration = meter.create_histogram(
            **described(names.DURATION), explicit_bucket_boundaries_advisory=names.BOUNDARIES
        )
        self.io = meter.create_counter(**described(names.IO))
        self.active = meter.create_up_down_counter(**described(names.ACTIVE_UPLOADS))
        self.refusals = meter.create_counter(**described(names.REFUSALS))
        self.settled = meter.create_counter(**described(names.SETTLED))
        gauge(names.MEMORY_USED, lambda: memory()[0])
        gauge(names.MEMORY_LIMIT, lambda: memory()[1])
        gauge(names.DUE, lambda: None if self.ledgers is None else self.ledgers.due)
        gauge(names.WAITING, lambda: None if self.ledgers is None else self.ledgers.waiting)
        gauge(names.RESERVED, lambda: None if self.ledgers is None else self.ledgers.reserved)
        gauge(names.FAILING, lambda: None if self.ledgers is None else self.ledgers.failing)
        gauge(names.OLDEST, self._age)

    def _age(self) -> float | None:
        """Return for how long the first of those that were due has been, as of now: it may have been settled since."""
        if self.ledgers is None or self.ledgers.oldest is None:
            return None if self.ledgers is None else 0.0
        return self.ledgers.oldest + monotonic() - self.ledgers.counted


_meters: "WeakKeyDictionary[MeterProvider, Meters]" = WeakKeyDictionary()


_failures = set[type[Exception]]()
"""Classes of errors that the log has heard of."""


@contextmanager
def _harmless() -> Iterator[None]:
    """Keep what fails in a collector from failing what is told: bytes and rows go on as if nobody was told of them."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - samplers and processors are anybody's code
        if type(error) not in _failures:
            _failures.add(type(error))
            TELEMETRY_FAILED.tell(error, with_traceback=True)


class Told:
    """A span that is going on, and what is to be said of it at its end."""

    __slots__ = ("facts", "span")

    def __init__(self, tracer: Tracer, name: SpanName, facts: Mapping[str, str | int]) -> None:
        self.span: Span = INVALID_SPAN
        self.facts: dict[str, str | int] = {str(names.OUTCOME): "ok"}
        with _harmless():
            kind = SpanKind.CLIENT if name.is_of_store else SpanKind.INTERNAL
            self.span = tracer.start_span(name.name, kind=kind, attributes=facts)

    def current(self) -> AbstractContextManager[object]:
        """Return a context in which it is the current span."""
        return use_span(self.span, record_exception=False, set_status_on_exception=False)

    def note(self, attribute: names.Attribute, value: str | int | None) -> None:
        """Say something of it."""
        if value is not None:
            self.facts[str(attribute)] = value

    def fail(self, error: BaseException) -> None:
        """Say how it went wrong: by the class alone, since a text may hold a path."""
        outcome = next((word for kind, word in OUTCOMES if isinstance(error, kind)), "failed")
        if outcome == "ok":
            return
        self.facts |= {str(names.OUTCOME): outcome, str(names.ERROR): type(error).__name__}

    def end(self) -> None:
        """End it, and say all that is to be said."""
        with _harmless():
            self.span.set_attributes(self.facts)
            if self.facts[str(names.OUTCOME)] == "failed":
                self.span.set_status(StatusCode.ERROR)
            self.span.end()


class Instruments:
    """Tells one provider of spans, and one of metrics."""

    def __init__(self, tracer: Tracer, meters: Meters, *, with_paths: bool) -> None:
        self._tracer, self._meters, self._with_paths = tracer, meters, with_paths

    @contextmanager
    def span(self, name: SpanName, **facts: str | int) -> Iterator[Told]:
        """Tell of the block as a span, a child of the one that it is in; `facts` are attributes known before."""
        told = Told(self._tracer, name, facts)
        try:
            with told.current():
                yield told
        except BaseException as error:
            told.fail(error)
            raise
        finally:
            told.end()

    @contextmanager
    def store_call(self, operation: str, backend: str, path: str | None = None) -> Iterator[Told]:
        """Tell of the block as a call of a store, with the time that it takes."""
        facts: dict[str, str | int] = {str(names.BACKEND): backend, str(names.OPERATION): operation}
        shown = {str(names.PATH): path} if path is not None and self._with_paths else {}
        start, told = perf_counter(), None
        try:
            with self.span(names.STORE[operation], **facts, **shown) as told:
                yield told
        finally:
            outcome = "failed" if told is None else told.facts[str(names.OUTCOME)]
            with _harmless():
                self._meters.duration.record(perf_counter() - start, {**facts, str(names.OUTCOME): outcome})

    @contextmanager
    def uploading(self, backend: str) -> Iterator[None]:
        """Count an object that is on its way to a store while the block runs."""
        with _harmless():
            self._meters.active.add(1, {str(names.BACKEND): backend})
        try:
            yield
        finally:
            with _harmless():
                self._meters.active.add(-1, {str(names.BACKEND): backend})

    def moved(self, backend: str, direction: str, size: int) -> None:
        """Count bytes that went `in` to a store, or came `out` of it."""
        with _harmless():
            self._meters.io.add(size, {str(names.BACKEND): backend, str(names.DIRECTION): direction})

    def refused(self, problem: str, status: int) -> None:
        """Count a request that was answered with a problem."""
        with _harmless():
            self._meters.refusals.add(1, {str(names.PROBLEM): problem, str(names.STATUS): status})

    def settled(self, *, failed: bool) -> None:
        """Count an intent that a sweep took."""
        with _harmless():
            self._meters.settled.add(1, {str(names.OUTCOME): "failed" if failed else "ok"})

    def counted(self, *, due: int, waiting: int, failing: int, oldest: float | None, reserved: int) -> None:
        """Keep what the ledgers hold for whoever asks for it, so that nobody asks a database then."""
        self._meters.ledgers = Ledgers(due, waiting, failing, oldest, reserved, monotonic())

    async def steps(
        self, name: SpanName, items: AsyncIterator[T], note: Callable[[Told, T], None], **facts: str | int
    ) -> AsyncGenerator[T, None]:
        """Tell of an iteration as one span, which is the current one while a step is made, and not in between."""
        told = Told(self._tracer, name, facts)
        try:
            while True:
                with told.current():
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                note(told, item)
                yield item
        except BaseException as error:
            told.fail(error)
            raise
        finally:
            told.end()
            await _close(items)

    async def listing(self, backend: str, infos: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Tell of a listing as a call of a store, with the time that the store takes, and not who reads it."""
        facts: dict[str, str | int] = {str(names.BACKEND): backend, str(names.OPERATION): "list"}
        listed = took = 0.0

        def note(told: Told, _: T) -> None:
            nonlocal listed
            listed += 1
            told.note(names.OBJECTS, int(listed))

        async def timed() -> AsyncIterator[T]:
            nonlocal took
            start = perf_counter()
            try:
                async for info in infos:
                    took += perf_counter() - start
                    yield info
                    start = perf_counter()
                took += perf_counter() - start
            finally:
                await _close(infos)

        outcome = "failed"
        try:
            async with aclosing(self.steps(names.STORE["list"], timed(), note, **facts)) as steps:
                async for info in steps:
                    yield info
            outcome = "ok"
        except GeneratorExit:
            outcome = "ok"
            raise
        finally:
            with _harmless():
                self._meters.duration.record(took, {**facts, str(names.OUTCOME): outcome})


async def _close(items: object) -> None:
    """Close an iterator that can be closed, as a generator can."""
    if (close := getattr(items, "aclose", None)) is not None:
        await close()


def begin(
    providers: Mapping[str, Any], *, memory: Callable[[], tuple[int, int]], with_paths: bool
) -> Instruments | None:
    """Return what tells the providers given, or the process's own; None if neither spans nor metrics are collected."""
    tracers: TracerProvider = providers.get("tracer_provider") or trace.get_tracer_provider()
    meters: MeterProvider = providers.get("meter_provider") or metrics.get_meter_provider()
    # There is no public way to ask a provider whether anybody has set it up.
    is_traced = providers.get("tracing", True) and not isinstance(tracers, ProxyTracerProvider | NoOpTracerProvider)
    is_metered = providers.get("metrics", True) and not (
        isinstance(meters, NoOpMeterProvider) or type(meters).__name__ == "_ProxyMeterProvider"
    )
    if not (is_traced or is_metered):
        return None
    tracers, meters = tracers if is_traced else NoOpTracerProvider(), meters if is_metered else NoOpMeterProvider()
    if meters not in _meters:
        _meters[meters] = Meters(meters, memory)
    tracer = tracers.get_tracer(DISTRIBUTION, __version__)
    return Instruments(tracer, _meters[meters], with_paths=with_paths)
