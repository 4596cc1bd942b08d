"""Evening out brightness that jumps from frame to frame."""
