"""What stands in an HTML page: its text by element, its tables and numbers, and whatever it would fetch or run."""

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
LEAVES = {"path", "use", "rect", "image", "g"}
"""Elements of SVG that may close themselves."""


class HtmlPage(HTMLParser):
    """A parsed page.

    Attributes:
        tags: how often each element occurs.
        ids: in order.
        references: values of href, src and the like.
        tiles: texts of the numbers that are read first.
        tables: rows of cells.
        sections: ids of the sections, in order.
        text: everything that is read.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tiles: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.sections: list[str] = []
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._begin(tag, attrs)
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("class") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in LEAVES, tag
        self._begin(tag, attrs)

    def _begin(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name == "id":
                self.ids.append(value or "")
            elif name in {"href", "src", "srcset", "data", "action", "xlink:href"}:
                self.references.append(value or "")
            elif "url(" in (value or ""):
                self.references.append((value or "").split("url(")[1].split(")")[0])
        if tag == "section":
            self.sections.append(dict(attrs)["id"] or "")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1][0] == tag, f"{tag} closes {self._open[-1]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        tag, kind = self._open[-1] if self._open else ("", "")
        if tag == "style":
            return
        self.text += data
        if kind == "value":
            self.tiles.append(data)
        elif tag in {"td", "th"}:
            self.tables[-1][-1][-1] += data
