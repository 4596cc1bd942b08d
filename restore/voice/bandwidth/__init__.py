"""`bandwidth`: the treble of a band-limited voice, carried on from where it was cut."""
