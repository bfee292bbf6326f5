"""A report page, taken apart; and a text that must stay a text on it."""

from html.parser import HTMLParser

from fcsweep import report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data)

    def figures(self):
        return [of["id"] for tag, of in self.tags if tag == "figure"]

    def text(self):
        return " ".join(" ".join(self.said).split())


def page_of(folder) -> Page:
    return Page(report.write(folder).read_text())
