"""Scratches, creases and specks of a single picture: found and filled."""
