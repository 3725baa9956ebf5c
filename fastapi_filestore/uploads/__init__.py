"""Uploads that are things of their own: their bytes come by whatever way, and a row takes one by its id.

`open_uploads` begins, finds, completes and ends them, and gives them to rows; `segments` stores what requests bring.
"""
