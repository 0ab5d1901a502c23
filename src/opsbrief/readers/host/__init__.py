"""What one host is asked over SSH, and how its one answer is taken apart."""
