"""Colour for black-and-white film: proposed by a network, decided by a person, carried along each shot."""
