"""The systemd journal as ``journalctl -o json`` prints it."""
