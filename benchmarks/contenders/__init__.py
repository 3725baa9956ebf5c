"""Who is compared: each application is a module here, served by a uvicorn process of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contender:
    """One application.

    Attributes:
        name: Its module, and its name in the results.
        title: Its name in the tables.
        package: The package whose version the tables show, if it is a rival.
        reads_body: Whether an upload has a body; otherwise it stores a file that is on the disk.
        is_application: Whether a server of ASGI runs it; otherwise it is a program that is told its port.
    """

    name: str
    title: str
    package: str | None = None
    reads_body: bool = True
    is_application: bool = True


CONTENDERS = {
    each.name: each
    for each in (
        Contender("discard", "ceiling: ASGI application that throws the body away"),
        Contender("hash_and_write", "floor: discard, hash and write in threads, nothing else"),
        Contender("put_file", "ceiling: obstore put of a file on disk, no HTTP", reads_body=False),
        Contender("file_response", "ceiling: Starlette's FileResponse"),
        Contender("obstore_stream", "ceiling: raw obstore stream, no row"),
        Contender("ours", "**fastapi-filestore**: prebuilt router, ledger, SHA-256"),
        Contender("ours_not_durable", "the same with DURABLE=false"),
        Contender("ours_uploads", "**fastapi-filestore**: `uploads=True`, ledger, SHA-256"),
        Contender("ours_uploads_not_durable", "the same with DURABLE=false"),
        Contender("tus_node_server", "@tus/server with file-store in Node: no sync, no digest", is_application=False),
        Contender("boto3_url", "boto3's URL that writes once, no row"),
        Contender("by_hand", "by hand: UploadFile, obstore put, INSERT"),
        Contender("by_hand_read", "by hand with `await file.read()`"),
        Contender("by_hand_ledger", "floor: by hand with a ledger and SHA-256"),
        Contender("advanced_alchemy", "advanced-alchemy, documented route", "advanced-alchemy"),
        Contender("sqlalchemy_file", "sqlalchemy-file", "sqlalchemy-file"),
        Contender("fastapi_storages", "fastapi-storages", "fastapi-storages"),
        Contender("filestore", "filestore, INSERT by hand", "filestore"),
    )
}
