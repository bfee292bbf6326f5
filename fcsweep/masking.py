"""Texts without the secrets in them: passwords in URLs, values of keys that name a secret."""

from __future__ import annotations

import re

SECRET = re.compile(r"(?i)\b([\w.]*(?:password|passwd|secret|token|api_?key)[\w.]*=)\S+")
PASSWORD_IN_URL = re.compile(r"://([^/@:\s]*):[^/@\s]*@")


def masked(text: str) -> str:
    """A text without the passwords in its URLs and the values of keys that name a secret."""
    return SECRET.sub(r"\1***", PASSWORD_IN_URL.sub(r"://\1:***@", text))
