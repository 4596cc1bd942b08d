"""Enlarging pictures with a super-resolution network."""
