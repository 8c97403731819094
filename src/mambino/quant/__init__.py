"""What a quantised number is: the table of types, and the plain NumPy codecs that define right.

Knows NumPy and errors; no files, no models. Start at types.py.
"""
