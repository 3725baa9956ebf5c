"""The machine: all rules, played in one cell, at random or by a list of steps."""

from collections import Counter
from collections.abc import Iterable, Sequence

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from tests.model.cells import Scene
from tests.model.playing import CONDITIONS, Step
from tests.model.rules_bulk import StatementRules
from tests.model.rules_care import CareRules
from tests.model.rules_claims import ClaimRules
from tests.model.rules_copies import CopyRules

STEPS = 20
"""The steps of a sequence."""


class Machine(CopyRules, StatementRules, ClaimRules, CareRules):
    """A program that does anything that programs do."""


def machine_in(scene: Scene) -> type[Machine]:
    """Return the machine of a scene, whose rules are counted anew."""
    return type("Machine", (Machine,), {"scene": scene, "tally": Counter(), "lengths": [], "broken": []})


def play_at_random(machine: type[Machine], *, sequences: int, number: int) -> None:
    """Play random sequences, the same ones for the same number; raise what the first broken one raises."""
    chosen = settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    seed(number)(get_state_machine_test(machine, settings=chosen))()


def replay(machine: type[Machine], steps: Iterable[Step]) -> Machine:
    """Play steps, but for those that can't be played where they come; raise what a broken one raises."""
    player = machine()
    try:
        for name, given in steps:
            if name not in CONDITIONS or CONDITIONS[name](player):
                getattr(player, name)(**given)
    finally:
        player.teardown()
    return player


def shorten(machine: type[Machine], steps: Sequence[Step]) -> list[Step]:
    """Return as few of the steps as break it still."""
    short = list(steps)
    size = max(1, len(short) // 2)
    while size:
        start = 0
        while start < len(short):
            fewer = short[:start] + short[start + size :]
            if breaks(machine, fewer):
                short = fewer
            else:
                start += size
        size //= 2
    return short


def breaks(machine: type[Machine], steps: Sequence[Step]) -> bool:
    """Tell whether steps break something."""
    try:
        replay(machine, steps)
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        return True
    return False
