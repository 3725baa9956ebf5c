"""The judgement after each step that ends something: do rows, objects and ledger agree, and with the model?"""

from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi_filestore.storage.paths import is_upload_path
from tests.model.cells import Scene
from tests.model.plain import Row, Value, contents, files_of
from tests.model.uploads import OPEN, Upload


class BrokenError(AssertionError):
    """Rows, objects and ledger do not agree, or not with the model."""


def judge(
    scene: Scene,
    committed: Mapping[int, Row],
    uploads: MutableMapping[str, Upload],
    *,
    is_quiet: bool,
    is_settled: bool = False,
) -> None:
    """Compare what a connection of its own sees with what was committed.

    Args:
        scene: The database and the store.
        committed: The rows as the model knows them.
        uploads: The uploads as it knows them; those go that a sweep has ended.
        is_quiet: No transaction is open that wrote something: what is in the store belongs to committed rows.
        is_settled: The sweeper, or an audit, had its say as well: nothing is left for it.

    Raises:
        BrokenError: They do not agree.
    """
    (rows, intents), objects = scene.read(), scene.objects()
    _compare_rows(rows, committed)
    held = Counter(record["path"] for row in rows.values() for value in row.values() for record in _records(value))
    awaited = set[str]()
    if uploads:
        awaited = _judge_uploads(scene, uploads, objects, held)
    scene.held_once |= held.keys()
    _say("rows that hold what a client may store again", {path for path in held if is_upload_path(path)})
    _say("objects in two rows", {path for path, number in held.items() if number > 1})
    _say("committed rows without their bytes", held.keys() - objects.keys())
    _compare_bytes(rows, committed, objects)
    _say("intents that cover what committed rows hold", held.keys() & intents)
    # What clients stored by themselves stays until a row has its copy, or an audit finds it.
    strays = {path for path in objects.keys() - held.keys() - awaited if not is_upload_path(path)}
    if is_quiet or (scene.has_ledger and not scene.has_one_writer):
        _say("objects that neither a row nor the ledger knows", strays - intents - _excused(scene))
    if is_settled:
        _say("after the end, objects that no row holds", strays)
        _say("after the end, intents", intents)


def _judge_uploads(
    scene: Scene, uploads: MutableMapping[str, Upload], objects: Mapping[str, bytes], held: Counter[str]
) -> set[str]:
    """Compare uploads, and count what they hold; return where clients store what no row has yet."""
    found = scene.read_uploads()
    for identity in [one for one in uploads if uploads[one].is_over and one not in found]:
        del uploads[identity]
    _say("uploads that are not there", uploads.keys() - found.keys())
    _say("uploads that nobody began", found.keys() - uploads.keys())
    awaited = set[str]()
    for identity, (state, received, path, files, segments) in found.items():
        held.update(record["path"] for record in [*files, *segments])
        lost = [record["path"] for record in [*files, *segments] if record["path"] not in objects]
        _say(f"of {uploads[identity]} bytes that are lost", lost)
        bytes_of = [[objects[record["path"]] for record in records] for records in (files, segments)]
        if (state, received, *bytes_of) != uploads[identity].wanted():
            raise BrokenError(f"{uploads[identity]} is {state} at {received} and holds {bytes_of}")
        if path is not None and state == OPEN:
            awaited.add(path)
            if not uploads[identity].is_over:
                _say(f"of {uploads[identity]} what its client stored", {path} - objects.keys())
    return awaited


def _excused(scene: Scene) -> set[str]:
    """Return what the store failed to delete, or stored and failed to say so, while no ledger could know of it.

    On SQLite, which has one writer, an upload inside of a transaction that wrote has no intent; a deletion has one.
    """
    if not scene.has_ledger:
        return scene.store.left
    return scene.store.left - scene.held_once if scene.has_one_writer else set()


def _say(problem: str, culprits: object) -> None:
    if culprits:
        raise BrokenError(f"{problem}: {culprits}")


def _records(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _compare_rows(rows: Mapping[int, Mapping[str, Any]], committed: Mapping[int, Row]) -> None:
    _say("committed rows that are not there", committed.keys() - rows.keys())
    _say("rows that nobody committed", rows.keys() - committed.keys())
    for tag, row in committed.items():
        for column, value in row.values.items():
            found = rows[tag][column]
            if (value is None) != (found is None) or [_facts(one) for one in _records(found)] != _wanted(value):
                raise BrokenError(f"row {tag}.{column} holds {found}, and should hold {value}")


def _facts(record: Mapping[str, Any]) -> tuple[object, ...]:
    return record["filename"], record["content_type"], record["metadata"], record["size"]


def _wanted(value: Value) -> list[tuple[object, ...]]:
    return [(file.filename, file.content_type, dict(file.metadata), len(file.content)) for file in files_of(value)]


def _compare_bytes(
    rows: Mapping[int, Mapping[str, Any]], committed: Mapping[int, Row], objects: Mapping[str, bytes]
) -> None:
    for tag, row in committed.items():
        for column, value in row.values.items():
            found = [objects[record["path"]] for record in _records(rows[tag][column])]
            if found != contents(value):
                raise BrokenError(f"row {tag}.{column} has the bytes {found}, and should have {contents(value)}")
