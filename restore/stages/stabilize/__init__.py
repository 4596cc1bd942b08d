"""Holding the picture still where the film moved in the gate."""
