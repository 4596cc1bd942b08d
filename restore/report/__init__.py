"""What people look at: plots of what was found, pairs of source and result."""
