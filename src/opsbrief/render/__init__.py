"""One module per form of a brief; they share nothing but the Brief."""
