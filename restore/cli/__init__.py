"""The command line: Click only. Parses, calls the library, shows progress, chooses the exit code."""
