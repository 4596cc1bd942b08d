"""Film restoration and digital doubles: analyse, plan, render, mux."""

__version__ = "0.1.0"
