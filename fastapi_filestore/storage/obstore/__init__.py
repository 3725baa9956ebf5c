"""Keep objects behind a network or in memory, by obstore; only the seam of failures imports it, too.

`opening/` makes a store of an URL and its options, `moving/` sends and fetches bytes, `signing.py` makes presigned
URLs. Nothing here holds a file whole in memory.
"""
