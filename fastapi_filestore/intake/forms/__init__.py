"""Forms (multipart/form-data, RFC 7578) read while they come in: fields kept within limits, files passed on.

A *part* is one field or one file; its *head* says which. Whatever clients write is read in linear time.
"""
