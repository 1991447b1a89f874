"""``python -m rbgctrl`` is ``rbgctrl``."""

from __future__ import annotations

import sys

from rbgctrl.cli import main

if __name__ == "__main__":
    sys.exit(main())
