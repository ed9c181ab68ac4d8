"""``python -m narfast``: the same commands as the ``narfast`` script."""

from __future__ import annotations

from narfast.cli.app import main

if __name__ == "__main__":
    main()
