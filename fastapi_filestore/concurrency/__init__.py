"""Threads and event loops: who waits for whom, and who must not.

The words: a *home* loop is the one that something belongs to; a *turn* is the right to use something alone;
*shielded* work reaches its end though its caller is cancelled. Nothing here knows of files, rows or requests, and
nothing here blocks an event loop.
"""
