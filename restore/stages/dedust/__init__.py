"""Dirt: dust, hairs, splices, blotches and scratches found and filled."""
