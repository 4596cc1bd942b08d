"""Grain put back: the source's own, by its spectrum and its strength at every brightness."""
