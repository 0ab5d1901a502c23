"""Log files as records with a time: their stamps, levels and layouts, seeking in them, sampling from them.

Speed comes from doing per line only what every line needs (find its stamp and level in one block of
bytes, count it) and everything else only for the few lines that are kept.
"""
