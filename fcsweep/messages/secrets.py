"""Texts without the secrets in them: passwords in URLs, values of keys that name a secret.

A secret is known by its place (the password of a URL, a key such as ``api_key``). One that stands
in such a place in the environment or on the command line is masked wherever else it turns up.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from urllib.parse import unquote

_KEYS = "(?:api|access|private)[_-]?keys?"
_WORDS = rf"passwords?|passwd|passphrase|pwd|secrets?|tokens?|credentials?|{_KEYS}"
_NAME = rf"(?:[\w.-]*(?:{_WORDS})(?:[_.-][\w.-]*|\d*)|(?<=[?&])[\w.-]*key)"
_BARE = r"""[^\s&'"]+"""
VALUE = re.compile(
    rf"""(?i)(?P<name>{_NAME}["']?[ \t]*[=:][ \t]*)"""
    rf"""(?:(?P<quote>["'])(?P<quoted>(?:[^"'\\]|\\.)*)(?P=quote)|(?P<bare>{_BARE}))"""
)
"""``NAME=secret``, ``NAME: secret``, ``"NAME": "secret"``, ``?key=secret``."""
URL = re.compile(r"""://([^/@:\s'"]*):[^\s'"]*@""")
WHOLE_URL = re.compile(r"(?s)://([^/@:\s]*):(.*)@")
"""The same in a text that is nothing but a URL, where a password may hold anything."""
ENVIRONMENT = re.compile(rf"(?i)(?:{_WORDS}|PASS)\d*$(?<!PWD)")
"""How a variable that holds a secret is named at its end; PWD is a folder."""
ASKED = re.compile(rf"(?i)\$\{{oc\.env:[^}}]*(?:{_WORDS})")
"""An interpolation that asks the environment for a secret."""
LEAST = 6
"""Characters of a secret that is masked wherever it stands; a shorter one is in many words."""


def mask(text: str) -> str:
    """A text without the passwords in its URLs and the values of keys that name a secret."""
    for secret in sorted(set(_known_secrets()), key=len, reverse=True):
        if len(secret) < LEAST:
            break
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return masked_in_place(text)


def masked_in_place(text: str) -> str:
    """A text without what stands where a secret stands, whatever the environment holds."""
    text = URL.sub(r"://\1:***@", text)
    return VALUE.sub(lambda found: f"{found['name']}{_stars(found['quote'])}", text)


def masked_url(url: str) -> str:
    """A URL without its password, whatever that holds."""
    return mask(WHOLE_URL.sub(r"://\1:***@", url))


def without_password(text: str, url: str) -> str:
    """A text about a URL, without the URL's password in its quoted and its unquoted form."""
    found = WHOLE_URL.search(url)
    for secret in {found[2], unquote(found[2])} - {""} if found else ():
        text = text.replace(secret, "***")
    return mask(text.replace(url, masked_url(url)))


def _stars(quote: str | None) -> str:
    return f"{quote or ''}***{quote or ''}"


def _known_secrets() -> Iterator[str]:
    """The secrets of the environment and of the command line."""
    for name, value in os.environ.items():
        yield from [value] if ENVIRONMENT.search(name) else _passwords(value)
    for word in sys.argv[1:]:
        yield from _passwords(word)
        yield from (found["quoted"] or found["bare"] or "" for found in VALUE.finditer(word))


def _passwords(text: str) -> list[str]:
    return [found[2] for found in WHOLE_URL.finditer(text)]
