"""What one metric of collectd is, whatever its name looks like."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Plugin, its instance, type, its instance, data source: all but the host."""

    plugin: str
    instance: str  # of the plugin: a port, a disk, a mount point
    type: str
    type_instance: str
    part: str = "value"  # the data source

    def __str__(self) -> str:
        """Return it as collectd itself writes it: tcpconns-8080-local/tcp_connections-ESTABLISHED."""
        plugin = f"{self.plugin}-{self.instance}" if self.instance else self.plugin
        kind = f"{self.type}-{self.type_instance}" if self.type_instance else self.type
        return f"{plugin}/{kind}" + ("" if self.part == "value" else f" ({self.part})")
