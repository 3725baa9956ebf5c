"""Sweep once, and sum it up."""

import argparse
from dataclasses import asdict

from fastapi_filestore.cli.exit_codes import ALL_IS_WELL, FOUND
from fastapi_filestore.cli.lines import print_object, print_summary
from fastapi_filestore.cli.progress import drawing
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.service.audit.inventory import Progress


async def run_sweep(files: Filestore, given: argparse.Namespace) -> int:
    """Sweep once; 1 if something could not be deleted."""
    deleted = abandoned = failed = 0
    async with files.backends():
        before = await files.backlog()
        progress = Progress("sweeping", total=before.due)
        with drawing(lambda: progress, given):
            async for swept in files.sweep():
                failed += swept.error is not None
                abandoned += swept.error is None and swept.is_upload
                deleted += swept.error is None and not swept.is_upload
                progress = Progress("sweeping", deleted + abandoned + failed, before.due)
                print_object(asdict(swept), as_json=given.json)
        after = await files.backlog()
    # What was due, and for how many seconds the oldest had been; what became of it, what is left, what is no garbage.
    oldest = None if before.oldest is None else round(before.oldest)
    summary: dict[str, int | str | None] = {
        "due": before.due,
        "oldest": oldest,
        "deleted": deleted,
        "abandoned": abandoned,
        "failed": failed,
        "waiting": after.due + after.waiting,
        "failing": after.failing,
        "reserved": after.reserved,
    }
    if not given.json:
        summary["oldest"] = "none" if oldest is None else f"{oldest} s"
    print_summary("swept", summary, as_json=given.json)
    return FOUND if failed else ALL_IS_WELL
