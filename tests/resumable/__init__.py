"""Clients of resumable uploads, as docs/resumable-uploads.md sets them up, through a line that breaks."""
