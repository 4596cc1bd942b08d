"""Frames out of fields: deinterlacing and inverse telecine."""
