"""Films and stages that tests make for themselves."""
