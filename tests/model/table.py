"""What was played, as a table, and whether it was enough."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.model.cells import CELLS
from tests.model.playing import CONDITIONS, Step

WHOLE: Final = 20_000
"""The sequences from which on the least counts hold."""
LEAST_OF_A_CELL: Final = 500
LEAST_OF_A_RULE: Final = 1_000
LEAST_STEPS: Final = 15
"""In half of the sequences."""
ROW: Final = "{:<34}{:>10}"


@dataclass
class Played:
    """What was played in one cell, or what broke there.

    Attributes:
        cell: The cell's name.
        number: The seed.
        sequences: How many sequences were to be played.
        lengths: The steps of each that was.
        rules: How often each rule was.
        steps: The steps that broke something.
        problem: What they broke.
    """

    cell: str
    number: int
    sequences: int
    lengths: list[int] = field(default_factory=list)
    rules: Mapping[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    problem: str | None = None

    def lines(self) -> Iterator[str]:
        """Yield what broke, as code that plays it again."""
        yield f"{self.problem}"
        yield f"The whole cell again: make model CELL={self.cell} SEED={self.number}. In short:"
        yield f'    tests.model.run.replay_in("{self.cell}", ['
        yield from (f"        {step}," for step in self.steps)
        yield "    ])"


def table(played: Iterable[Played]) -> Iterator[str]:
    """Yield the lines of the table."""
    cells = list(played)
    lengths = [length for one in cells for length in one.lengths]
    yield ROW.format("cell", "sequences")
    yield from (ROW.format(one.cell, len(one.lengths)) for one in cells)
    yield ""
    yield ROW.format("rule", "played")
    rules = rules_of(cells)
    yield from (ROW.format(name, rules[name]) for name in sorted(CONDITIONS))
    yield ""
    yield ROW.format("sequences", len(lengths))
    yield ROW.format("steps", sum(lengths))
    yield ROW.format("median of steps", median(lengths or [0]))


def shortfalls(played: Iterable[Played]) -> Iterator[str]:
    """Yield what was played too little of, in a run that was to be whole."""
    cells = list(played)
    lengths = [length for one in cells for length in one.lengths]
    known = {one.cell: len(one.lengths) for one in cells}
    for cell in map(str, CELLS):
        if known.get(cell, 0) < LEAST_OF_A_CELL:
            yield f"{cell} was played {known.get(cell, 0)} times only"
    rules = rules_of(cells)
    for name in sorted(CONDITIONS):
        if rules[name] < LEAST_OF_A_RULE:
            yield f"{name} was played {rules[name]} times only"
    if median(lengths or [0]) < LEAST_STEPS:
        yield f"half of the sequences have {median(lengths or [0])} steps or fewer"


def rules_of(played: Iterable[Played]) -> Counter[str]:
    """Return how often each rule was played in all cells."""
    rules = Counter[str]()
    for one in played:
        rules.update(one.rules)
    return rules
