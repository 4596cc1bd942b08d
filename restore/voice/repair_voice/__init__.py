"""`repair-voice`: a worn voice steadied, with an earlier recording as its guide."""
