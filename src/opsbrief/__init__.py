"""opsbrief: from "something is wrong since the release" to a brief that a developer can act on.

As a library: ``opsbrief.collect("shop", since="deploy")`` returns what the command of that name writes.
"""

import sys
from types import ModuleType

TYPE_CHECKING = False  # type checkers take it for true by its name; importing typing would double the time of --version
if TYPE_CHECKING:
    from opsbrief.library import collect as collect

# A constant, because asking importlib.metadata costs five times an empty interpreter;
# a test holds it equal to the package's metadata.
__version__ = "0.1.0"


class _Package(ModuleType):
    """Gives the function of the library for ``opsbrief.collect``, and loads it no earlier than that.

    A module of the same name does the work behind it. Importing that module would put it in the
    function's place, which a property does not let happen.
    """

    @property
    def collect(self) -> object:
        """Return the function."""
        from opsbrief import library  # noqa: PLC0415 - --version must not load numpy

        return library.collect

    @collect.setter
    def collect(self, module: ModuleType) -> None:
        """Leave the import system's module in sys.modules, where imports find it."""


sys.modules[__name__].__class__ = _Package
