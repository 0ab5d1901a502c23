"""The story of a bad release, built on real local storage: whisper files, log files, Git repositories.

Friday afternoon. Release 2.14.0 goes to eight application servers. From then on each of them keeps
connections that it never releases; a watchdog restarts whoever reaches 400. The infrastructure
repository was last touched the day before. A pool error that was known and rare explodes, a new
error appears, and so does a harmless new endpoint. Nothing here is shown to the analysis other
than through the ordinary sources.
"""

from opsbrief.demo.build import build

__all__ = ["build"]
