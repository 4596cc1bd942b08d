"""`declick`: clicks and crackle found and filled in."""
