"""Tell OpenTelemetry what the library does: spans of its work, and numbers of it; nothing, unless somebody collects.

`names` has every name, `collector` what the rest of the library asks before it tells anything, and `instruments` is all
that imports OpenTelemetry, once there is a provider of spans or metrics. Where there is none, whatever tells something
is passed by without a call. No span and no metric has a secret, a signed URL or a filename, and none has a path unless
FILESTORE_TELEMETRY_PATHS asks for it.
"""

from fastapi_filestore.telemetry.collector import COLLECTOR, redact_current_span

__all__ = ["COLLECTOR", "redact_current_span"]
