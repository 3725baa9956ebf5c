"""Files as they go out: conditions, ranges, headers that keep a browser safe, and which way the bytes take.

No file is held whole in memory, and no short body ever looks whole.
"""
