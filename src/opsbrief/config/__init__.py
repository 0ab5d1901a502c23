"""The configuration: YAML to values; every mistake with file:line:column and a suggestion."""

from opsbrief.config.read import load
from opsbrief.config.values import Config, Service

__all__ = ["Config", "Service", "load"]
