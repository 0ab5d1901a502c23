"""opsbrief: from "something is wrong since the release" to a brief that a developer can act on."""

# A constant, because asking importlib.metadata costs five times an empty interpreter;
# a test holds it equal to the package's metadata.
__version__ = "0.1.0"
