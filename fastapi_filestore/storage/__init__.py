"""Keep bytes in backends, which move them and know nothing of rows or HTTP.

`backend.py` is the protocol, `obstore_backend.py` the one that ships, above two drivers: `obstore/` (networks,
memory) and `local/` (folders of this machine). The registry gives backends their names; `failures/` turns whatever a
store or a disk says into errors of ours. Nothing here makes up an object path of what a client sent.
"""
