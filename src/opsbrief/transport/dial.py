"""How a connection comes about where it is not simply opened: through something else, such as SSH."""

import socket
from collections.abc import Callable

#: Returns a connected socket, the caller's to close; raises SourceError, or OSError as ``socket`` does.
Dial = Callable[[], socket.socket]
