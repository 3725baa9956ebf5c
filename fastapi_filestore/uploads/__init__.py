"""Uploads that are things of their own: their bytes come by whatever way, and a row takes one by its id.

`tables` keeps them, `open_uploads` begins, reads and ends them, `claims` gives them to rows.
"""
