"""Requests as they come in: bodies within their limits, forms, files that are stored while they are sent.

No byte of a body is read before the route's dependencies have run, and no client is waited for without end.
"""
