"""What was measured: every value of every round, and the medians of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median

Values = Mapping[str, float]
"""Metric → value."""


class Results:
    """Values by work, contender and case; a file keeps them, so that a single work can be measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.works: dict[str, dict[str, str]] = {}
        self._values: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {}
        if path.exists():
            kept = json.loads(path.read_text())
            self.works, self._values = kept["works"], kept["values"]

    def begin(self, work: str, facts: Mapping[str, str]) -> None:
        """Forget what is known of a work, and note when and where it is measured now."""
        self.works[work] = dict(facts)
        self._values[work] = {}

    def add(self, work: str, contender: str, case: str, values: Values) -> None:
        """Add what one round measured."""
        metrics = self._values[work].setdefault(contender, {}).setdefault(case, {})
        for name, value in values.items():
            metrics.setdefault(name, []).append(round(value, 6))

    def save(self) -> None:
        """Write the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"works": self.works, "values": self._values}, indent=1) + "\n")

    def contenders(self, work: str) -> list[str]:
        """Return who took part, in the order of the first round."""
        return list(self._values.get(work, {}))

    def cases(self, work: str) -> list[str]:
        """Return the cases of a work, in the order in which they were measured."""
        return list(dict.fromkeys(case for cases in self._values.get(work, {}).values() for case in cases))

    def values(self, work: str, contender: str, metric: str, case: str = "") -> list[float]:
        """Return the value of every round."""
        return self._values.get(work, {}).get(contender, {}).get(case, {}).get(metric, [])

    def median(self, work: str, contender: str, metric: str, case: str = "") -> float | None:
        """Return the median of the rounds, None if there is none."""
        values = self.values(work, contender, metric, case)
        return median(values) if values else None
