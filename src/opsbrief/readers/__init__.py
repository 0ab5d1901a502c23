"""What the systems' own formats and protocols say, read into plain values.

One room a family of systems, below the sources: a source asks and yields evidence, its reader knows the
dialect. Several sources may share a reader; readers know nothing of sources.
"""
