"""What systems that deploy say about their deploys, read into entries.

One module a system; pure: an answer in, entries out. ``entry`` has what they share.
"""
