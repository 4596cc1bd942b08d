"""`dehum`: mains hum and its harmonics subtracted."""
