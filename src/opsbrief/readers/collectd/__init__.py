"""What collectd writes: its names in every layout, what they mean, its files. Pure, but for the files."""
