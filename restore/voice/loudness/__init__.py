"""`loudness`: the whole track brought to a level, after EBU R 128."""
