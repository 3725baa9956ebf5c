"""The same as `ours_uploads`, with DURABLE=false: a power cut may take files whose rows it leaves."""

from dataclasses import replace

from benchmarks.contenders import application

application.PLACE = replace(application.PLACE, uploads=True, durable=False)

from benchmarks.contenders.ours import app  # noqa: E402 - it reads the place that was just changed

__all__ = ["app"]
