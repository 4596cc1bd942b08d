"""`dewow`: wow and flutter followed and undone."""
