"""Audit once, and print what was found."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta

from fastapi_filestore.cli.exit_codes import ALL_IS_WELL, FOUND, UNCHECKED
from fastapi_filestore.cli.lines import print_json, print_object, print_summary
from fastapi_filestore.cli.progress import drawing
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.service.audit.audit import DEFAULT_GRACE, Audit
from fastapi_filestore.service.audit.findings import FIXABLE, FindingKind


def add_audit_options(add: Callable[..., object]) -> None:
    """Add the options of an audit to its parser, by `add_argument`."""

    def hours(text: str) -> timedelta:
        try:
            return timedelta(hours=float(text))
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of hours") from None

    def count(text: str) -> int:
        if not text.isdecimal():
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
        return int(text)

    add("--verify", action="store_true", help="read every object and compare its SHA-256")
    add("--grace", type=hours, default=DEFAULT_GRACE, metavar="HOURS", help="age of garbage (24)")
    add("--fix", action="append", default=[], choices=sorted(FIXABLE), help="put this kind right")
    add("--backend", action="append", help="a backend to look for orphans in (those of the columns)")
    add("--at-most", type=count, metavar="N", help="orphans of a backend that may go (100, or 1 %% of it)")
    add("--after", metavar="CURSOR", help="go on where an audit was cut short")


async def run_audit(files: Filestore, given: argparse.Namespace) -> int:
    """Audit once; 1 if there are findings, 4 if there is only what a store did not show."""
    audit = files.audit(
        grace=given.grace,
        verify=given.verify,
        fix=given.fix,
        backends=given.backend,
        after=given.after,
        at_most=given.at_most,
    )
    kinds, fixed = Counter[FindingKind](), 0
    async with files.backends():
        try:
            with drawing(lambda: audit.progress, given):
                async for finding in audit:
                    kinds[finding.kind] += 1
                    fixed += finding.fixed
                    print_object(asdict(finding), as_json=given.json)
        except asyncio.CancelledError:
            print(f"filestore: go on with --after {audit.cursor or given.after or ''}", file=sys.stderr)
            raise
    if FindingKind.ORPHAN in given.fix:
        _print_coverage(audit, as_json=given.json)
    looked_at = {"objects": audit.coverage.objects, "rows": audit.coverage.rows}
    found = {kind.value: kinds[kind] for kind in FindingKind}
    print_summary("audited", {**looked_at, "findings": kinds.total(), "fixed": fixed, **found}, as_json=given.json)
    if kinds.keys() - {FindingKind.UNCHECKED}:
        return FOUND
    return UNCHECKED if kinds else ALL_IS_WELL


def _print_coverage(audit: Audit, *, as_json: bool) -> None:
    """Print what the deletion of orphans was based on, and which backends kept theirs."""
    coverage = audit.coverage
    if as_json:
        print_json({"kind": "coverage", **asdict(coverage)})
        return
    tables, backends = (", ".join(names) or "none" for names in (coverage.tables, coverage.backends))
    print(f"coverage  tables: {tables}  backends: {backends}", flush=True)
    for backend, reason in coverage.kept.items():
        print(f"kept  {backend}  no orphan was deleted: {reason}", flush=True)
