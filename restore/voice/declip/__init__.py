"""`declip`: peaks that were cut off, made anew."""
