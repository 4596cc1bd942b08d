"""Grain and noise taken away: averaged along motion, then what is left cleaned in each frame."""
