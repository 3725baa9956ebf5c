"""Draw how far a command has come on a terminal, where rich is installed; never in pipes, for JSON or in CI."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from fastapi_filestore.service.audit.inventory import Progress
from fastapi_filestore.settings import is_automated

PAUSE = 0.25
"""Seconds between two looks at how far it has come."""


@contextmanager
def drawing(progress: Callable[[], Progress], given: argparse.Namespace) -> Iterator[None]:
    """Draw on stderr how far the block has come, with rate and time left; stdout stays as it is."""
    if given.json or is_automated() or not sys.stderr.isatty() or find_spec("rich") is None:
        yield
        return
    from rich import progress as bars  # noqa: PLC0415 - optional: without it nothing is drawn
    from rich.console import Console  # noqa: PLC0415 - the same

    step_and_rate = (bars.TextColumn("{task.description}"), bars.TextColumn("{task.fields[rate]}"))
    times = (bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
    # Lines on the same terminal go above the bar; a stdout that goes elsewhere is not touched.
    drawn = bars.Progress(
        *step_and_rate, *times, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    )
    task = drawn.add_task("", total=None, rate="")

    def draw() -> None:
        step, done, total = progress()
        if drawn.tasks[task].description != step:
            drawn.reset(task, description=step)
        speed = drawn.tasks[task].speed
        drawn.update(task, completed=done, total=total, rate="" if speed is None else f"{speed:,.0f}/s")

    async def draw_regularly() -> None:
        while True:
            draw()
            await asyncio.sleep(PAUSE)

    with drawn:
        drawer = asyncio.create_task(draw_regularly())
        try:
            yield
        finally:
            drawer.cancel()
            draw()
