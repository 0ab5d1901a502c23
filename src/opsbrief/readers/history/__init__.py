"""Reading Git history safely and fast: the hardened command, the walk through a window, the parsing.

Everything goes through the ``git`` binary, which is several times faster than any library for this
and needs no wheel. Nothing here touches a work tree, writes into the repository, or fetches.
"""
