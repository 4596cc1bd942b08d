"""Faces: found in single pictures, followed through shots, grouped to people. Knows no films and no job folders."""
