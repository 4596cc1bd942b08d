"""Making one person's face younger or older."""
