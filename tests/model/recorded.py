"""Short sequences that find each planted fault."""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.model.playing import Step

HABITS: Final = {"autoflush": True, "expires": True, "keeps": True}

RECORDED: Final[Mapping[str, Sequence[Step]]] = {
    "inner_rollback_deletes_outer": [
        ("start", HABITS),
        ("try_in_savepoint", {"at": 0, "which": 0, "what": 3, "fails": True, "commits": False}),
        ("commit", {}),
    ],
    "orphan_is_booked_twice": [
        ("start", HABITS),
        ("rescue", {"which": 0, "keep": 0}),
        ("commit", {}),
    ],
    "deletion_before_commit": [
        ("start", HABITS),
        ("clear", {"at": 0}),
        ("write", {}),
        ("rollback", {}),
    ],
    "old_value_from_memory": [
        ("start", HABITS | {"expires": False}),
        ("switch", {}),
        ("replace", {"at": 0, "files": 1, "once": False}),
        ("commit", {}),
        ("switch", {}),
        ("replace", {"at": 0, "files": 1, "once": False}),
        ("commit", {}),
    ],
    "segments_go_unseen": [
        ("start", HABITS),
        ("begin_upload", {"column": 0, "requests": 2, "is_part": False}),
        ("complete_upload", {"which": 0}),
    ],
    "claim_is_not_noted": [
        ("start", HABITS),
        ("begin_upload", {"column": 0, "requests": 1, "is_part": False}),
        ("claim", {"which": 0, "row": 0, "gives_back": 1}),
        ("commit", {}),
    ],
    "expiry_forgets_segments": [
        ("start", HABITS),
        ("begin_upload", {"column": 0, "requests": 1, "is_part": False}),
        ("let_time_pass", {"which": 0}),
        ("sweep", {}),
    ],
    "intent_forgotten_early": [
        ("start", HABITS),
        ("clear", {"at": 0}),
        ("store_fails", {"after": 0, "calls": 2, "late": False}),
        ("commit", {}),
    ],
}
"""By the fault's name."""

STALE_LISTS: Final[Sequence[Sequence[Step]]] = [
    [
        ("start", HABITS | {"expires": False}),
        ("switch", {}),
        ("change_list", {"at": 0, "which": 0, "change": 0}),
        ("commit", {}),
        ("switch", {}),
        ("service_edit_list", {"at": 0, "which": 1, "turns": turns}),
        ("commit", {}),
    ]
    for turns in (True, False)
]
"""The service edits a list that the session had read before another one changed it."""
