"""Objects behind a network or in memory, by obstore: the only place that imports it, but for the seam of failures.

`opening/` makes a store of an URL and its options, `moving/` sends and fetches bytes, `signing/` makes presigned
URLs. Nothing here holds a file whole in memory.
"""
