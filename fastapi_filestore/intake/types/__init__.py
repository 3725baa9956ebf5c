"""Media types: how they compare, what the first bytes of a file are of, and whether sender, name and bytes agree.

To *sniff* is to tell a type by bytes. No honest file is refused here, and no type is guessed where nothing tells it.
"""
