"""How a config error is worded: what was given, what was expected, what was probably meant.

One line, lower case, the key in full. `assert` and other exceptions are for what cannot happen.
"""

from __future__ import annotations

import difflib
import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence

from fcsweep.messages.secrets import mask
from fcsweep.messages.usual_names import ours

_NEAR = 0.7  # difflib's own 0.6 takes beta2 for a misspelt extra


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant, or None. Among dotted keys the last part decides too."""
    candidates = list(words)
    if known := _usual(word, candidates):
        return known
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=_NEAR)
    if close:
        return close[0]
    last = {candidate.rpartition(".")[2]: candidate for candidate in reversed(candidates)}
    close = difflib.get_close_matches(word.rpartition(".")[2], list(last), n=1, cutoff=_NEAR)
    return last[close[0]] if close else None


def _usual(word: str, candidates: list[str]) -> str | None:
    """The candidate known by this name elsewhere, preferably in the same or a similar group."""
    group, _, name = word.rpartition(".")
    called = ours(name)
    found = [one for one in candidates if one != word and one.rpartition(".")[2] in called]
    near = [one for one in found if one.rpartition(".")[0] == group]
    alike = difflib.get_close_matches(word, found, n=1, cutoff=_NEAR) if group else []
    return next(iter([*near, *alike, *found]), None)


def hint(word: str, words: Iterable[str]) -> str:
    """``; did you mean WORD?``, or nothing where no word is near."""
    near = nearest(word, words)
    return f"; did you mean {near}?" if near else ""


def one_line(error: BaseException) -> str:
    """An error on one line: our own and Hydra's texts as they are, others with their type.

    Without secrets and terminal escape sequences.
    """
    text = sanitize(str(error))
    kind = type(error)
    if kind.__module__.partition(".")[0] in ("fcsweep", "hydra") and text:
        return text
    return f"{kind.__name__}: {text}" if text else kind.__name__


def printable(text: object) -> str:
    r"""A text whose every character can be seen: a line break as ``\n``, an escape as ``\x1b``."""
    characters = str(text)
    if characters.isprintable():
        return characters
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in characters)


def sanitize(text: str) -> str:
    """A text on one line, without secrets and terminal escape sequences."""
    return printable(mask(" ".join(text.split())))


def join(words: Iterable[str]) -> str:
    """The words, with commas."""
    return ", ".join(words)


def render(value: object, key: str = "") -> str:
    """A value as a user would write it, on one line and short, however large it is.

    Args:
        value: whatever was given.
        key: where; one that names a secret hides its value.
    """
    if mask(f"{key}=x") != f"{key}=x":
        return "***"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = " ".join(_SHORT.repr(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def together(statuses: Sequence[str]) -> str:
    """``completed`` where all are, else ``2 completed, 1 failed``."""
    counts = Counter(statuses)
    several = ", ".join(f"{count} {status}" for status, count in counts.items())
    return statuses[0] if len(counts) == 1 else several


def ties(others: int) -> str:
    """``; 7 others reach it``, after what is said of the best; nothing if there are none."""
    return f"; {others} other{'s reach' if others > 1 else ' reaches'} it" if others else ""
