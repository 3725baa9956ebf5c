"""What is to be reached, and what was."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.actions import CONCURRENCY
from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results

OURS = "ours"
RIVALS = tuple(each.name for each in CONTENDERS.values() if each.package)
BUDGET = 64
"""MiB: the default of FILESTORE_UPLOAD_MEMORY."""

Measure = Callable[[Results], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A number to reach; `measured` tells it from the medians, None if its works were not measured."""

    work: str
    text: str
    limit: float
    at_least: bool
    measured: Measure
    unit: str = ""

    def verdict(self, results: Results) -> tuple[str, str]:
        """Return the number and whether it is reached, as texts."""
        value = self.measured(results)
        if value is None:
            return "", "not measured"
        reached = value >= self.limit if self.at_least else value <= self.limit
        return f"{value:.2f}{self.unit}" if value < 10 else f"{value:.0f}{self.unit}", "pass" if reached else "**miss**"


def targets() -> list[Target]:
    """Return every target of the table."""
    return [
        *_uploads(),
        *_memory(),
        *_meanwhile(),
        *_downloads(),
        *_reads(),
        *_creations(),
        *_durable(),
        *_refusals(),
        *_resumed(),
    ]


def _uploads() -> list[Target]:
    local = "upload-local"
    return [
        _ratio(local, "≥ 0.72 × the discarding server's speed", 0.72, "discard"),
        Target(
            local, "≥ 1.6 × the fastest rival that stores before it answers", 1.6, True, _against_fastest_rival, " ×"
        ),
        _ratio(local, "≥ 2.5 × `await file.read()`", 2.5, "by_hand_read"),
        _ratio("upload-s3", "≥ 0.90 × obstore put from a file", 0.9, "put_file"),
    ]


def _memory() -> list[Target]:
    text = "memory over idle ≤ {} MiB"
    return [
        *(
            _most(work, text.format(24), 24, "memory", " MiB")
            for work in ("upload-local", "upload-local-huge", "upload-s3")
        ),
        _most("uploads-s3", text.format(f"the budget of {BUDGET} + 64"), BUDGET + 64, "memory", " MiB"),
        *(_most(work, text.format(32), 32, "memory", " MiB") for work in ("download-local", "download-s3")),
    ]


def _meanwhile() -> list[Target]:
    return [
        _most("upload-local", "written to disk per byte received: 1.0", 1.005, "written"),
        _most("uploads-local", "another endpoint with 4 uploads running: worst ≤ 30 ms", 30, "ping", " ms"),
    ]


def _downloads() -> list[Target]:
    return [
        _ratio("download-local", "≥ 1.0 × FileResponse", 1.0, "file_response"),
        _ratio("download-s3", "≥ 0.85 × raw obstore stream", 0.85, "obstore_stream"),
    ]


def _creations() -> list[Target]:
    return [
        _ratio(work, f"DURABLE=false: {text}, {_connections(case)}", limit, other, case=case, who="ours_not_durable")
        for work in ("create-sqlite", "create-postgresql")
        for text, limit, other in (
            ("≥ 0.8 × the crash-safe floor", 0.8, "by_hand_ledger"),
            ("≥ 1.0 × advanced-alchemy's documented route", 1.0, "advanced_alchemy"),
        )
        for case in CONCURRENCY
    ]


def _reads() -> list[Target]:
    return [
        _ratio(work, f"≥ 1.0 × SELECT and FileResponse by hand, {_connections(case)}", 1.0, "by_hand", case=case)
        for work in ("read-sqlite", "read-postgresql")
        for case in CONCURRENCY
    ]


def _connections(number: int) -> str:
    return f"{number} connections" if number > 1 else "1 connection"


def _durable() -> list[Target]:
    other, text = "ours_not_durable", "× DURABLE=false"
    return [
        *(
            _ratio(f"durable-{database}", f"≥ 0.8 {text}, 16 connections", 0.8, other, case=16)
            for database in ("sqlite", "postgresql")
        ),
        _ratio("durable-local", f"≥ 0.9 {text}", 0.9, other),
    ]


def _refusals() -> list[Target]:
    return [
        _most("refusal", f"{case}: {text}", limit, metric, unit, case=case)
        for case in ("unauthenticated", "oversize")
        for text, limit, metric, unit in (
            ("under 1 MB read", 1.0, "read", " MB"),
            ("≤ 50 ms", 50.0, "milliseconds", " ms"),
        )
    ]


def _resumed() -> list[Target]:
    ours, text = "ours_uploads", "memory over idle ≤ {} MiB"

    def against_boto3(results: Results) -> float | None:
        mine, theirs = (results.median("direct-s3", each, "seconds") for each in (ours, "boto3_url"))
        return mine / theirs if mine and theirs else None

    tus = "≥ 0.8 × @tus/server with file-store"
    return [
        _ratio("resumed-local", tus, 0.8, "tus_node_server", who=ours),
        _ratio("resumed-local", f"DURABLE=false: {tus}", 0.8, "tus_node_server", who="ours_uploads_not_durable"),
        _ratio("patch-local", "≥ 0.95 × our form", 0.95, "ours", who=ours),
        *(_most(work, text.format(24), 24, "memory", " MiB", who=ours) for work in ("resumed-local", "patch-local")),
        _most("patches-s3", text.format(f"the budget of {BUDGET} + 64"), BUDGET + 64, "memory", " MiB", who=ours),
        Target("direct-s3", "≤ 1.05 × boto3's put of it with a URL that writes once", 1.05, False, against_boto3, " ×"),
        _most("beside", "HEAD ≤ 2 s", 2000, "head", " ms", who=ours),
        _most("beside", "PATCH goes on after ≤ 2 s", 2000, "served", " ms", who=ours),
    ]


def _most(
    work: str, text: str, limit: float, metric: str, unit: str = "", *, case: str = "", who: str = OURS
) -> Target:
    return Target(work, text, limit, False, lambda results: results.median(work, who, metric, case), unit)


def _ratio(work: str, text: str, limit: float, other: str, *, case: int | None = None, who: str = OURS) -> Target:
    metric, name = ("speed", "") if case is None else ("rate", str(case))

    def measured(results: Results) -> float | None:
        ours, theirs = (results.median(work, each, metric, name) for each in (who, other))
        return ours / theirs if ours and theirs else None

    return Target(work, text, limit, True, measured, " ×")


def _against_fastest_rival(results: Results) -> float | None:
    work = "upload-local"
    honest = [rival for rival in RIVALS if results.median(work, rival, "early") == 0]
    speeds = [speed for rival in honest if (speed := results.median(work, rival, "speed"))]
    ours = results.median(work, OURS, "speed")
    return ours / max(speeds) if ours and speeds else None
