"""Train a net with each of many learning rates, all in one stack, and suggest one."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import printable
from fcsweep.notebook import compose
from fcsweep.system.command import command, plain
from fcsweep.system.signals import held_back

PROGRAM = "python -m fcsweep.find_lr"
KEY = "optimizer.learning_rate"
FEWEST, MOST = 8, 64


def main() -> None:
    """Exit code 0 with a suggestion, else 1."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument("overrides", nargs="*", help="as of a run, such as optimizer=adam")
    parser.add_argument("--from", dest="low", type=float, default=1e-5, help="least rate (1e-5)")
    parser.add_argument("--to", dest="high", type=float, default=10.0, help="largest rate (10)")
    text = f"how many rates, {FEWEST} to {MOST} (49)"
    parser.add_argument("--count", type=int, default=49, help=text)
    parser.add_argument("--epochs", type=int, default=1, help="to train (1)")
    parser.add_argument("--csv", type=Path, help="write the losses to this file")
    parser.add_argument("--png", type=Path, help="draw them to this file")
    parser.add_argument("--svg", type=Path, help="draw them to this file")
    parser.add_argument("--config-dir", type=Path, help="a folder of groups of your own")
    arguments = parser.parse_intermixed_args()
    with command(PROGRAM):
        sys.exit(0 if find(arguments) else 1)


def find(asked: argparse.Namespace) -> bool:
    """Train, draw and suggest; whether there is a suggestion.

    Raises:
        UserError: an invalid argument, or missing data or device; one line.
    """
    config = compose(asked.overrides, asked.config_dir)
    rates = rates_between(asked.low, asked.high, asked.count)
    if asked.epochs < 1:
        raise ConfigError(f"--epochs is {asked.epochs}; expected a whole number >= 1")
    for kind in ("png", "svg"):
        path = getattr(asked, kind)
        if path is not None and path.suffix != f".{kind}":
            raise ConfigError(f"--{kind} is {path}; expected a file that ends in .{kind}")
    with held_back():  # torch, not before everything is checked
        from fcsweep.find_lr import drawing
        from fcsweep.find_lr.suggestion import suggest
        from fcsweep.find_lr.training import losses_of
        from fcsweep.kernels.threads import one_thread
    one_thread()
    epochs = "1 epoch" if asked.epochs == 1 else f"{asked.epochs} epochs"
    what = f"{config.model.name}, {config.optimizer.name}, {config.data.name}"
    print(f"{len(rates)} learning rates, {what}, {epochs}", flush=True)
    found = losses_of(config, rates, asked.epochs)
    suggestion = suggest(found)
    print(drawing.chart(found, suggestion))
    if asked.csv:
        drawing.write_table(found, asked.csv)
    for path in filter(None, (asked.png, asked.svg)):
        drawing.write_picture(found, suggestion, path)
    if suggestion.rate is None:
        print(f"no suggestion: {suggestion.reason}")
        return False
    others = [word for word in asked.overrides if not word.startswith(f"{KEY}=")]
    run = shlex.join(["python", "-m", "fcsweep", *others, f"{KEY}={suggestion.rate:g}"])
    print(f"suggestion: {suggestion.rate:g}, {suggestion.reason}")
    print(printable(run))
    return True


def rates_between(low: float, high: float, count: int) -> list[float]:
    """Learning rates at equal ratios, with three digits.

    Raises:
        ConfigError: the range is invalid, or too narrow for so many rates.
    """
    if not FEWEST <= count <= MOST:
        raise ConfigError(f"--count is {count}; expected {FEWEST} to {MOST}")
    if not (0 < low < high and math.isfinite(high)):
        raise ConfigError(f"--from is {low:g} and --to is {high:g}; expected 0 < from < to")
    step = (math.log10(high) - math.log10(low)) / (count - 1)
    rates = [float(f"{10 ** (math.log10(low) + n * step):.3g}") for n in range(count)]
    if len(set(rates)) < count:
        raise ConfigError(f"{low:g} to {high:g} has no {count} rates of three digits; widen it")
    return rates


if __name__ == "__main__":
    main()
