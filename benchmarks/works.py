"""The works: who does what, how often, and which columns its table has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.actions import (
    SMALL,
    Measured,
    create,
    download,
    ranges,
    read,
    read_signed,
    refuse,
    revalidate,
    upload,
)
from benchmarks.place import DatabaseKind, StoreKind
from benchmarks.scale import GIB, MIB, Scale
from benchmarks.server import Program, Server
from benchmarks.upload_actions import beside_another, by_tus_js_client, in_one_patch, straight

UPLOADERS = ("ours", "by_hand", "by_hand_read", "advanced_alchemy", "filestore", "fastapi_storages", "sqlalchemy_file")
FLOORS = ("discard", "hash_and_write")
S3_UPLOADERS = UPLOADERS[:-1]
# A file that is read whole is the same as any other when it is small.
CREATORS = ("ours_not_durable", *({"by_hand_read": "by_hand_ledger"}.get(each, each) for each in UPLOADERS))
TRANSFER = ("seconds", "speed", "memory", "written", "cpu", "ping")
SENDING = ("seconds", "speed", "memory", "cpu", "ping")
STORING = ("answered", *TRANSFER)
READER = "advanced_alchemy"
"""The only rival whose documentation says how to read a stored file."""
RATE = ("rate", "p50", "p99", "errors", "memory", "cpu", "ping")
BESIDE = ("head", "served")
REFUSAL = ("status", "milliseconds", "read", "memory", "ping")


@dataclass(frozen=True, slots=True)
class Work:
    """One table.

    Attributes:
        name: Its name on the command line and in the results.
        title: Its heading.
        contenders: Who takes part.
        measure: What does it with a server that has just been started.
        rounds: How often.
        columns: The metrics that the table shows.
        store: Where the files go.
        database: Where the rows go.
        source: Bytes of the file that is there before.
        limit: Bytes of the largest upload, where uploads need a token, too.
        space: Bytes of disk that it needs at the most.
        program: The server that runs the contenders.
        ours: Who the others are compared with.
    """

    name: str
    title: str
    contenders: tuple[str, ...]
    measure: Callable[[Server], Measured]
    rounds: int
    columns: tuple[str, ...]
    store: StoreKind = "local"
    database: DatabaseKind = "sqlite"
    source: int = 0
    limit: int | None = None
    space: int = 0
    program: Program = "uvicorn"
    ours: str = "ours"


def all_works(scale: Scale) -> list[Work]:
    """Return every work at a scale."""
    return [
        *_uploads(scale),
        *_downloads(scale),
        *_reads(scale),
        *_creations(scale),
        *_durable(scale),
        *_on_granian(scale),
        _refusal(scale),
        *_resumed(scale),
    ]


def _uploads(scale: Scale) -> list[Work]:
    def to_disk(name: str, title: str, rounds: int, size: int, files: int = 1) -> Work:
        action = partial(upload, size=size, files=files)
        return Work(name, title, (*FLOORS, *UPLOADERS), action, rounds, STORING, space=3 * size * files)

    big, huge, part, each = scale.big, scale.huge, scale.part, scale.each
    return [
        to_disk("upload-local", f"Upload {_name(big)} to local disk", scale.rounds, big),
        to_disk("upload-local-huge", f"Upload {_name(huge)} to local disk", scale.few_rounds, huge),
        to_disk("uploads-local", f"4 uploads of {_name(part)} at once to local disk", scale.rounds, part, 4),
        Work(
            "upload-s3",
            f"Upload {_name(big)} to SeaweedFS",
            ("put_file", *S3_UPLOADERS),
            partial(upload, size=big),
            scale.rounds,
            STORING,
            store="s3",
            source=big,
            space=4 * big,
        ),
        Work(
            "uploads-s3",
            f"{scale.many} uploads of {_name(each)} at once to SeaweedFS",
            ("ours", "by_hand", "advanced_alchemy", "filestore"),
            partial(upload, size=each, files=scale.many),
            scale.few_rounds,
            STORING,
            store="s3",
            space=4 * scale.many * each,
        ),
    ]


def _downloads(scale: Scale) -> list[Work]:
    big = scale.big
    whole, parts = partial(download, size=big), partial(ranges, size=big, number=scale.ranges)

    def reading(
        name: str, title: str, who: tuple[str, ...], action: Callable[[Server], Measured], store: StoreKind
    ) -> Work:
        columns, rounds = (SENDING, scale.rounds) if action is whole else (("rate", *SENDING[2:]), scale.few_rounds)
        return Work(name, title, who, action, rounds, columns, store=store, source=big, space=4 * big)

    from_disk, from_store = ("file_response", "obstore_stream", "ours"), ("obstore_stream", "ours")
    connections = f"Read ranges of 64 KiB of {_name(big)}, on 1 and on 8 connections,"
    return [
        reading("download-local", f"Download {_name(big)} from local disk", (*from_disk, READER), whole, "local"),
        reading("download-s3", f"Download {_name(big)} from SeaweedFS", (*from_store, READER), whole, "s3"),
        reading("ranges-local", f"{connections} from local disk", (*from_disk, "by_hand"), parts, "local"),
        reading("ranges-s3", f"{connections} from SeaweedFS", (*from_store, "by_hand"), parts, "s3"),
    ]


def _reads(scale: Scale) -> list[Work]:
    def reading(
        name: str, title: str, who: tuple[str, ...], action: Callable[..., Measured], database: DatabaseKind = "sqlite"
    ) -> Work:
        title, measure = f"{title}, on 1, 16 and 64 connections", partial(action, seconds=scale.seconds)
        return Work(name, title, who, measure, scale.rounds, RATE, database=database, source=SMALL)

    with_row, known, without_row = ("ours", "by_hand", READER), ("ours", "by_hand"), ("file_response", "ours")
    return [
        reading("read-sqlite", "Download 10 KiB with its row in SQLite", with_row, read),
        reading("read-postgresql", "Download 10 KiB with its row in PostgreSQL", with_row, read, "postgresql"),
        reading("not-modified", "Answer 304 for a file whose row is in SQLite", known, revalidate),
        reading("read-signed", "Download 10 KiB by a signed URL, without a row", without_row, read_signed),
    ]


def _creations(scale: Scale) -> list[Work]:
    def creation(name: str, title: str, database: DatabaseKind) -> Work:
        title = f"Upload 10 KiB with a row in {title}, on 1, 16 and 64 connections"
        action = partial(create, seconds=scale.seconds)
        return Work(name, title, CREATORS, action, scale.rounds, RATE, database=database, space=GIB)

    return [
        creation("create-sqlite", "SQLite", "sqlite"),
        creation("create-postgresql", "PostgreSQL", "postgresql"),
    ]


def _durable(scale: Scale) -> list[Work]:
    both, big, rounds = ("ours", "ours_not_durable"), scale.big, 2 * scale.rounds

    def creation(database: DatabaseKind, title: str) -> Work:
        title = f"Sync 10 KiB to local disk with a row in {title}, on 1, 16 and 64 connections"
        action = partial(create, seconds=scale.seconds)
        return Work(f"durable-{database}", title, both, action, rounds, RATE, database=database, space=GIB)

    title = f"Sync {_name(big)} to local disk"
    return [
        creation("sqlite", "SQLite"),
        creation("postgresql", "PostgreSQL"),
        Work("durable-local", title, both, partial(upload, size=big), scale.rounds, STORING, space=3 * big),
    ]


def _on_granian(scale: Scale) -> list[Work]:
    """Return some of the works once more, on another server."""
    again = {work.name: work for work in [*_uploads(scale), *_reads(scale), *_creations(scale)]}
    who = ("discard", "hash_and_write", "file_response", "ours", "ours_not_durable", "by_hand", "by_hand_ledger")
    return [
        replace(
            again[name],
            name=f"{name}-granian",
            title=f"{again[name].title}, on Granian",
            contenders=tuple(each for each in again[name].contenders if each in who),
            program="granian",
        )
        for name in ("upload-local", "read-sqlite", "create-sqlite")
    ]


def _refusal(scale: Scale) -> Work:
    return Work(
        "refusal",
        f"Refuse an upload of {scale.refused / 1e9:g} GB that has no token, or is twice as big as allowed",
        ("ours", "by_hand", "advanced_alchemy", "filestore"),
        partial(refuse, size=scale.refused),
        scale.rounds,
        REFUSAL,
        limit=scale.refused // 2,
        space=3 * scale.refused,
    )


def _resumed(scale: Scale) -> list[Work]:
    big, chunk, rounds, ours = scale.big, scale.chunk, scale.rounds, "ours_uploads"

    def work(
        name: str, title: str, who: tuple[str, ...], action: Callable[[Server], Measured], store: StoreKind = "local"
    ) -> Work:
        columns = SENDING if name == "direct-s3" else STORING
        return Work(
            name, f"{title}, until it is claimed", who, action, rounds, columns, store, space=4 * big, ours=ours
        )

    by_tus = f"Upload {_name(big)} by tus-js-client in patches of {_name(chunk)} to local disk"
    many = f"{scale.many} uploads of {_name(scale.several)} at once to SeaweedFS, each in one PATCH"
    contenders = ("tus_node_server", ours, "ours_uploads_not_durable")
    return [
        work("resumed-local", by_tus, contenders, partial(by_tus_js_client, size=big, chunk=chunk)),
        work(
            "patch-local",
            f"Upload {_name(big)} in one PATCH to local disk",
            ("ours", ours),
            partial(in_one_patch, size=big),
        ),
        work("patches-s3", many, ("ours", ours), partial(in_one_patch, size=scale.several, files=scale.many), "s3"),
        work(
            "direct-s3",
            f"Upload {_name(big)} straight to SeaweedFS",
            ("boto3_url", ours),
            partial(straight, size=big),
            "s3",
        ),
        Work(
            "beside",
            "Ask for an upload, and go on with it, while a PATCH of it hangs in another process",
            (ours,),
            beside_another,
            rounds,
            BESIDE,
            ours=ours,
        ),
    ]


def _name(size: int) -> str:
    return f"{size // GIB} GiB" if size % GIB == 0 else f"{size / MIB:g} MiB"
