"""Which regular expressions take more than linear time: those in which two repeats can share out the same text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

# Python's own reader of patterns, of which no type checker knows.
codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

UNIVERSE = frozenset(map(chr, [*range(0x180), 0x2028, 0x3000, 0xD800]))
"""Characters of every class that patterns tell apart."""
BOUNDED = 1024
"""A repeat of at most so many is a constant factor."""

Items = Sequence[tuple[Any, Any]]


@dataclass(frozen=True)
class Step:
    """One thing that a pattern matches: some characters, perhaps none of them, perhaps without end."""

    characters: frozenset[str]
    required: bool
    endless: bool


END = Step(frozenset(), required=True, endless=False)


def is_linear(pattern: re.Pattern[Any], *, searched: bool = False) -> bool:
    """Tell whether a pattern takes linear time: matched at one place, or searched for from every place."""
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    items = parser.parse(text, pattern.flags & ~re.DEBUG & ~re.UNICODE if isinstance(pattern.pattern, bytes) else 0)
    anywhere = [Step(UNIVERSE, required=False, endless=True)] if searched else []
    return all(_is_linear(way, searched=searched) for way in _ways([*items], pattern.flags, anywhere))


def _is_linear(way: Sequence[Step], *, searched: bool) -> bool:
    for position, step in enumerate(way):
        rest = way[position + 1 :]
        if step.endless and any(_shares(step, other, rest[:between]) for between, other in enumerate(rest)):
            # What is searched for starts anywhere; that is a loss only if it can go on for long and then fail.
            if searched and position == 0 and not _can_fail_late(rest):
                continue
            return False
    return True


def _shares(step: Step, other: Step, between: Sequence[Step]) -> bool:
    stopped = any(each.required and not each.characters & step.characters for each in between)
    return other.endless and bool(step.characters & other.characters) and not stopped


def _can_fail_late(way: Sequence[Step]) -> bool:
    """Tell whether the search could start again inside of what an endless repeat has just read in vain."""
    first = next((position for position, step in enumerate(way) if step.endless), len(way))
    again = all(step.characters & way[first].characters for step in way[:first] if step.required)
    return again and any(step.required for step in way[first + 1 :])


def _ways(items: list[Any], flags: int, before: list[Step]) -> Iterator[list[Step]]:
    """Yield the steps of every alternative; what is repeated as a group comes twice, so that it meets itself."""
    ways = [before]
    for item in items:
        ways = [[*way, *more] for way in ways for more in _item_ways(item, flags)]
    yield from ways


def _item_ways(item: tuple[Any, Any], flags: int) -> Iterator[list[Step]]:
    code, value = item
    if code in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
        least, most, body = value
        yield from _repeat_ways(least, most, body, flags)
    elif code in {codes.SUBPATTERN, codes.ATOMIC_GROUP}:
        yield from _ways([*(value[3] if code is codes.SUBPATTERN else value)], flags, [])
    elif code is codes.BRANCH:
        for branch in value[1]:
            yield from _ways([*branch], flags, [])
    elif code is codes.AT:
        yield [END] if value in {codes.AT_END, codes.AT_END_STRING} else []
    elif code in {codes.ASSERT, codes.ASSERT_NOT, codes.GROUPREF}:  # which stop nothing, as far as anybody knows
        yield []
    else:
        yield [Step(_characters(item, flags), required=True, endless=False)]


def _repeat_ways(least: int, most: int, body: Any, flags: int) -> Iterator[list[Step]]:
    endless = most > BOUNDED
    for way in _ways([*body], flags, []):
        if len(way) == 1 and not way[0].endless:
            yield [Step(way[0].characters, required=least > 0 and way[0].required, endless=endless)]
            continue
        yield [*way, *way] if endless else way
        if least == 0:
            yield []


def _characters(item: tuple[Any, Any], flags: int) -> frozenset[str]:
    """Return what one place of a pattern matches, as the compiler itself has it."""
    place = parser.SubPattern(parser.State())
    place.append(item)
    place.state.flags = flags
    code = re._compiler  # type: ignore[attr-defined] # noqa: SLF001 - there is no public one
    built = code._code(place, flags)  # noqa: SLF001
    matcher = re._compiler._sre.compile(None, flags, built, 0, {}, (None,))  # type: ignore[attr-defined] # noqa: SLF001
    return frozenset(each for each in UNIVERSE if matcher.fullmatch(each))
