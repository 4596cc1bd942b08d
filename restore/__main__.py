"""The `restore` command."""

from __future__ import annotations

import sys

from restore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
