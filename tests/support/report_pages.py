"""A report page, taken apart; and a text that must stay a text on it."""

import json
from html.parser import HTMLParser
from typing import Any

from fcsweep import report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """The texts that a reader sees without scripts, the tags, and what the scripts are given."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.unseen: dict[str, str] = {"style": "", "script": "", "data": ""}
        self.within = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self.within = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        self.within = ""

    def handle_data(self, data):
        if self.within:
            self.unseen[self.within] += data
        else:
            self.said.append(data)

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.unseen["data"])

    def figures(self):
        return [of["id"] for tag, of in self.tags if tag == "figure"]

    def rows(self, kind):
        """The rows of a class, such as ``best``."""
        return [of for tag, of in self.tags if tag == "tr" and of.get("class") == kind]

    def scripts(self):
        """The ids of the scripts; None is the program."""
        return [of.get("id") for tag, of in self.tags if tag == "script"]

    def text(self):
        return " ".join(" ".join(self.said).split())


def page_of(folder) -> Page:
    return Page(report.write(folder).read_text())
