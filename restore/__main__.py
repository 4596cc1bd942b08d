"""The `restore` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        from restore.cli.main import main as run

        return run()
    except KeyboardInterrupt:  # while Python was still starting
        return 130


if __name__ == "__main__":
    sys.exit(main())
