"""``python -m fcsweep``: see `fcsweep.cli`."""

from fcsweep.cli import main

if __name__ == "__main__":
    main()
