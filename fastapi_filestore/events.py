"""Name every event that the library logs; docs/logs.md is the same table for those who read the log."""

from logging import ERROR, INFO, WARNING
from typing import Final

from fastapi_filestore.logs import Event

SWEEPS: Final = "FILESTORE_SWEEP_EVERY, or filestore sweep"
"""The ways to have sweeps: without one, nobody does their work."""

# -- requests ----------------------------------------------------------------------------------------------

PROBLEM: Final = Event("problem", ERROR, "A request was answered with a status of 500 or more, for the reason given.")
BROKEN_OFF: Final = Event(
    "broken_off", ERROR, "The store failed in the middle of a download, so the connection to the client was cut."
)
OBJECT_MISSING: Final = Event(
    "object_missing",
    ERROR,
    "A row holds a file whose object is not in the store. Beside a deletion at the same moment it is none: the row was "
    "read before.",
    "restore the object from a backup, or delete the row; filestore audit lists all of them",
)
SESSION_HELD: Final = Event(
    "session_held",
    WARNING,
    "A request keeps its database connection while its client sends a body; told once for each reason.",
    "slow clients can use up the pool so: end the transaction before, or say that it is meant with "
    "Filestore(hold_session=True)",
)

SIGNED_URL_EXPIRED: Final = Event(
    "signed_url_expired", INFO, "A client came with a signed URL of the application after its time, and got a 403."
)
SIGNED_URL_REFUSED: Final = Event(
    "signed_url_refused",
    WARNING,
    "A client came with a signed URL that no key of now has signed, for this method, and got a 403.",
    "if reason is unknown-key after a change of FILESTORE_SIGNING_KEYS, put the old key behind the new one until its "
    "URLs have expired (docs/environment.md); else somebody changed a URL, or made one up",
)

# -- the start ---------------------------------------------------------------------------------------------

DATABASES_NOT_CHECKED: Final = Event(
    "databases_not_checked", INFO, "The databases could not be asked at the start for tables, triggers and settings."
)
TABLES_MISSING: Final = Event("tables_missing", ERROR, "The database lacks tables of the models, or the ledger's.")
TRIGGERS_MISSING: Final = Event("triggers_missing", ERROR, "Tables lack the triggers of add_ledger(triggers=True).")
COMMITS_NOT_DURABLE: Final = Event(
    "commits_not_durable",
    WARNING,
    "The database may lose its last commits when the power fails, and rows come back whose files are deleted.",
    "change the setting, or keep deleted files for a while: add_ledger(..., keep_deleted=timedelta(days=7))",
)
PUBLIC_URL_MISSING: Final = Event(
    "public_url_missing",
    WARNING,
    "Signed URLs begin with the path given, and the application has no route there.",
    "include files.signed_router(), with a prefix that has no parameters, or say with FILESTORE_PUBLIC_URL where "
    "clients reach the application that has it",
)
BACKEND_NOT_REGISTERED: Final = Event(
    "backend_not_registered",
    WARNING,
    "A mapped class that this Filestore does not serve has a column whose backend nobody registered.",
    "set FILESTORE_BACKENDS__<NAME>__URL, or register the backend before the first file of that class is stored",
)
FILES_BELOW_FOLDER: Final = Event(
    "files_below_folder",
    INFO,
    "No backend is set or registered, so files go to the folder given.",
    "set FILESTORE_BACKENDS__DEFAULT__URL where that is not meant",
)
ACCEL_UNREADABLE: Final = Event("accel_unreadable", WARNING, "nginx in front can't read a local folder.")

# -- readiness ---------------------------------------------------------------------------------------------

NOT_READY: Final = Event(
    "not_ready",
    ERROR,
    "A database or a backend does not answer, so load balancers are told 503 (files.readiness); told as that begins.",
)
READY_AGAIN: Final = Event("ready_again", INFO, "What was not ready answers again.")

# -- transactions ------------------------------------------------------------------------------------------

AUTOCOMMIT: Final = Event(
    "autocommit",
    WARNING,
    "A session writes files over a connection in AUTOCOMMIT, where nothing can be rolled back; told once per engine.",
    "use another isolation level for sessions that write files",
)
COMMIT_IN_DOUBT: Final = Event(
    "commit_in_doubt",
    WARNING,
    "The connection broke during a COMMIT, so nobody knows whether it happened. Nothing was deleted.",
    f"with a ledger, a sweep finds out ({SWEEPS}); without one, filestore audit does",
)
SESSION_NEVER_CLOSED: Final = Event(
    "session_never_closed",
    WARNING,
    "The process ended with files of an open transaction. Nothing was deleted.",
    f"close sessions before the process ends; a sweep ({SWEEPS}), or filestore audit, finds what was left",
)
SAVEPOINT_OF_ONE_CONNECTION: Final = Event(
    "savepoint_of_one_connection",
    WARNING,
    "A savepoint outside of the session may have been rolled back, so no file was deleted.",
    "begin savepoints with session.begin_nested(); filestore audit finds what was left",
)
ROWS_UNKNOWN: Final = Event(
    "rows_unknown",
    WARNING,
    "After a rollback the database could not be asked whether a row holds a file of a path of its own; it was left.",
    "none needed at once: filestore audit finds those that no row holds",
)
DISCARD_FAILED: Final = Event(
    "discard_failed",
    WARNING,
    "Objects that no row holds any more could not be deleted.",
    f"with a ledger, a sweep tries again ({SWEEPS}); without one, filestore audit finds them",
)
UPLOAD_NOT_UNDONE: Final = Event(
    "upload_not_undone",
    WARNING,
    "What had come of a failed upload could not be removed.",
    f"with a ledger, a sweep tries again ({SWEEPS}); without one, filestore audit finds it",
)

# -- the ledger and its sweeper ----------------------------------------------------------------------------

RENEWAL_FAILED: Final = Event(
    "renewal_failed", WARNING, "The intent of a long upload could not be renewed; if that goes on, the upload fails."
)
FORGET_FAILED: Final = Event(
    "forget_failed", WARNING, "Intents of objects that are gone stay in the ledger, and cost a sweeper one look."
)
INTENTS_UNKNOWN: Final = Event(
    "intents_unknown", WARNING, "The ledger could not be asked what triggers wrote, so it was taken to hold nothing."
)
RELEASE_FAILED: Final = Event(
    "release_failed", WARNING, "Reserved paths could not be given back at the end, and cost a sweeper one look."
)
SWEEP_FAILED: Final = Event("sweep_failed", WARNING, "A sweep could not be done; the next one tries again.")
SWEEP_GAVE_WAY: Final = Event(
    "sweep_gave_way", INFO, "A sweep or an audit left something for later, since others kept the database busy."
)
INTENT_FAILED: Final = Event(
    "intent_failed", WARNING, "A sweep could not delete an object; it is tried again after a growing delay."
)
UNFINISHED_UPLOADS_UNSEEN: Final = Event(
    "unfinished_uploads_unseen",
    WARNING,
    "S3 did not show what uploads left half done, so their parts stay in the bucket.",
    "permit s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or set a lifecycle rule that drops them",
)

# -- telemetry ---------------------------------------------------------------------------------------------

TELEMETRY_FAILED: Final = Event(
    "telemetry_failed",
    WARNING,
    "OpenTelemetry could not be told something; told once for each class of error.",
    "see after the processors, samplers and exporters that the application has set up",
)

# -- local folders -----------------------------------------------------------------------------------------

MODE_NOT_SET: Final = Event(
    "mode_not_set", WARNING, "The disk knows no permissions, so it decides who may read what is stored; told once."
)
FOLDER_NOT_SYNCED: Final = Event(
    "folder_not_synced", WARNING, "The disk can't sync folders: names of new files may be lost in a power cut."
)
