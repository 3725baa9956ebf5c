"""Name all that is told to OpenTelemetry; docs/telemetry.md is the same table for those who read it."""

from dataclasses import dataclass
from typing import Final, Literal

# -- attributes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attribute:
    """A fact of a span or a metric."""

    name: str
    meaning: str

    def __str__(self) -> str:
        return self.name


BACKEND: Final = Attribute("filestore.backend", "The key of the backend.")
OPERATION: Final = Attribute(
    "filestore.operation", "What a store is asked for: `put`, `open`, `head`, `copy`, `delete`, `list`, `sign`."
)
OUTCOME: Final = Attribute(
    "filestore.outcome",
    "`ok`; `missing`, `exists` or `changed`, where an object is not as a request assumes; `refused`, of an upload that "
    "breaks a rule; `cancelled`; `failed`.",
)
ERROR: Final = Attribute("error.type", "The class of the error, where the outcome is not `ok`.")
SIZE: Final = Attribute("filestore.size", "Bytes of the object, or of the range of it that is read.")
OBJECTS: Final = Attribute("filestore.objects", "How many objects are deleted, listed, or looked at.")
FINDINGS: Final = Attribute("filestore.findings", "How much an audit found.")
FAILED: Final = Attribute("filestore.failed", "How many intents a sweep could not settle.")
PATH: Final = Attribute("filestore.path", "The object's path; only with `FILESTORE_TELEMETRY_PATHS=true`.")
DIRECTION: Final = Attribute("filestore.direction", "`in`: to the store; `out`: from it.")
PROBLEM: Final = Attribute("filestore.problem", "The problem that a request was answered with: problems.md.")
STATUS: Final = Attribute("http.response.status_code", "Its status.")

# -- spans -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpanName:
    """A span: its name, what it is about, and its attributes."""

    name: str
    meaning: str
    attributes: tuple[Attribute, ...]
    is_of_store: bool = False


_STORE: Final = (BACKEND, OPERATION, OUTCOME, ERROR, SIZE, OBJECTS, PATH)

UPLOAD: Final = SpanName(
    "filestore.upload",
    "A file on its way into the store for a row: from its client, or from your code.",
    (BACKEND, OUTCOME, ERROR, SIZE),
)
FLUSH: Final = SpanName(
    "filestore.flush", "A flush of a session whose rows hold files, before rows are written.", (OUTCOME, ERROR)
)
SWEEP: Final = SpanName("filestore.sweep", "A sweep of one ledger.", (OBJECTS, FAILED, OUTCOME, ERROR))
AUDIT: Final = SpanName("filestore.audit", "An audit.", (FINDINGS, OUTCOME, ERROR))
STORE: Final[dict[str, SpanName]] = {
    operation: SpanName(f"filestore.{operation}", meaning, _STORE, is_of_store=True)
    for operation, meaning in {
        "put": "An object is stored.",
        "open": "An object, or a range of it, is opened; its bytes are read later.",
        "head": "A store is asked for the facts of an object.",
        "copy": "An object is copied within a store.",
        "delete": "Objects are deleted.",
        "list": "Objects are listed.",
        "sign": "A URL is signed.",
    }.items()
}
SPANS: Final = (UPLOAD, FLUSH, *STORE.values(), SWEEP, AUDIT)

# -- metrics -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, the kind of its instrument, its unit by UCUM, what it means, and its attributes."""

    name: str
    kind: Literal["counter", "up-down counter", "histogram", "gauge"]
    unit: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()


DURATION: Final = Metric(
    "filestore.store.duration",
    "histogram",
    "s",
    "How long a store took; of `open` until it answered, of `put` with the time in which a client sends.",
    (BACKEND, OPERATION, OUTCOME),
)
IO: Final = Metric(
    "filestore.io", "counter", "By", "Bytes that went to a store, or came from it.", (BACKEND, DIRECTION)
)
ACTIVE_UPLOADS: Final = Metric(
    "filestore.uploads.active", "up-down counter", "{upload}", "Objects that are on their way to a store.", (BACKEND,)
)
MEMORY_USED: Final = Metric(
    "filestore.upload_memory.used",
    "gauge",
    "By",
    "Memory that uploads of this process hold, of FILESTORE_UPLOAD_MEMORY.",
)
MEMORY_LIMIT: Final = Metric("filestore.upload_memory.limit", "gauge", "By", "FILESTORE_UPLOAD_MEMORY.")
REFUSALS: Final = Metric(
    "filestore.problems", "counter", "{answer}", "Requests that were answered with a problem.", (PROBLEM, STATUS)
)
SETTLED: Final = Metric(
    "filestore.sweep.intents", "counter", "{intent}", "Intents that sweeps of this process took.", (OUTCOME,)
)
DUE: Final = Metric(
    "filestore.intents.due", "gauge", "{intent}", "Intents that a sweep would take, after the last sweep."
)
WAITING: Final = Metric(
    "filestore.intents.waiting", "gauge", "{intent}", "Objects that are to go later, after the last sweep."
)
RESERVED: Final = Metric(
    "filestore.intents.reserved",
    "gauge",
    "{intent}",
    "Paths that uploads have or may take, used or not, after the last sweep: no garbage.",
)
FAILING: Final = Metric(
    "filestore.intents.failing", "gauge", "{intent}", "Intents that a sweep could not settle, after the last sweep."
)
OLDEST: Final = Metric(
    "filestore.intents.oldest", "gauge", "s", "For how long the first of those that are due has been; 0 if none is."
)
METRICS: Final = (
    DURATION,
    IO,
    ACTIVE_UPLOADS,
    MEMORY_USED,
    MEMORY_LIMIT,
    REFUSALS,
    SETTLED,
    DUE,
    WAITING,
    RESERVED,
    FAILING,
    OLDEST,
)
BOUNDARIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds: a local disk takes one thousandth of one, a large upload minutes."""
