"""Analyse -> plan -> render -> mux. Knows the stage contract, never a concrete stage."""
