"""``python -m fcsweep``: see `fcsweep.cli`."""

from fcsweep.stopping import listening, unheard


def main() -> None:
    """Run the program on ``sys.argv``; a signal is heard before the imports, which take a while."""
    try:
        with listening():
            from fcsweep import cli

            cli.main()
    finally:
        unheard()


if __name__ == "__main__":
    main()
