"""Know whether anybody collects spans or metrics: whoever tells something looks for `COLLECTOR.instruments` first."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_filestore.telemetry.instruments import Instruments


class Collector:
    """The instruments of the application that runs, if there is anybody to tell; of several, of the last to start."""

    __slots__ = ("_running", "instruments")

    def __init__(self) -> None:
        self.instruments: Instruments | None = None
        self._running = list["Instruments | None"]()

    @contextmanager
    def telling(
        self, providers: Mapping[str, Any], *, memory: Callable[[], tuple[int, int]], with_paths: bool
    ) -> Iterator[None]:
        """Tell the providers given, or the process's own, of what is done while the block runs.

        OpenTelemetry is not imported unless it is installed; with no provider set up, nothing is told.

        Args:
            providers: `tracer_provider` and `meter_provider`, as `FastAPI(telemetry=...)` takes them; `tracing` and
                `metrics` are False to turn either off.
            memory: Returns how much memory uploads hold, and how much they may.
            with_paths: Tell spans the paths of objects.
        """
        instruments: Instruments | None = None
        try:
            module = import_module("fastapi_filestore.telemetry.instruments")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "opentelemetry":
                raise
        else:
            instruments = module.begin(providers, memory=memory, with_paths=with_paths)
        self._running.append(instruments)
        self.instruments = instruments or self.instruments
        try:
            yield
        finally:
            self._running.remove(instruments)
            self.instruments = next((running for running in reversed(self._running) if running is not None), None)


COLLECTOR = Collector()
"""That of this process."""


def redact_current_span(redact: Callable[[str], str]) -> None:
    """Take secrets out of what others have told of the current request, as FastAPI of its path."""
    if (trace := sys.modules.get("opentelemetry.trace")) is None:
        return
    span = trace.get_current_span()
    attributes: Mapping[str, object] = getattr(span, "attributes", None) or {}
    for name, value in list(attributes.items()):
        if isinstance(value, str) and (redacted := redact(value)) != value:
            span.set_attribute(name, redacted)
