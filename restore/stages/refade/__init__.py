"""Faded film and photographs: contrast and the balance of dyes put back."""
