"""What is played before a power cut."""

from collections.abc import Callable
from pathlib import Path

from tests.power.judgement import Judgement
from tests.power.scripts import play
from tests.power.sessions import play_transactions

PLAYS: dict[str, Callable[[int, Path], Judgement]] = {"objects": play, "rows": play_transactions}


MOST_SCRIPTS = 20
"""Until a fault must be found."""
