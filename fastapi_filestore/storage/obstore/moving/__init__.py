"""Move bytes to a store and back: in parts of bounded memory, with nothing left behind when one fails.

A *part* is a piece of a multipart upload; a *handoff* gives chunks to obstore no faster than they are sent. A
transfer may take any time; silence may not.
"""
