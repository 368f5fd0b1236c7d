"""Draws the pictures of docs/ from their text: `python scripts/draw.py` writes each .svg anew.

A picture is a list of lines; `#` begins a comment. Places are pixels, sides are n, e, s or w, and
`s25` is the point a quarter along the lower side.

    title SENTENCE                              what a screen reader says
    size WIDTH HEIGHT
    frame NAME X Y W H EDGE | SENTENCE          a group; EDGE is where its text stands: top, bottom
    holds NAME: BOX BOX ...                     what an arrow from that group stands for
    box NAME X Y W H LOOK | TITLE | WHAT | LINK the last two may be left out
    arrow BOX:SIDE -> BOX:SIDE LOOK | LABEL     the label may be left out
    note X Y LOOK | SENTENCE
    key X Y LOOK | SENTENCE                     explains a kind of arrow
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = ("loop", "dispatch-states", "architecture")

STYLE = """\
text{fill:var(--ink)}.paper{fill:var(--paper)}.what,.note{fill:var(--soft)}
.label{font-size:12px;paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.title{font-size:15px;font-weight:600}.what{font-size:11.5px}.note{font-size:12.5px}
.strong{fill:var(--ink);font-size:13px;font-weight:600}
rect{stroke:var(--line);fill:var(--box)}.frame{fill:var(--group);stroke-dasharray:4 4}
.paper{stroke:none}.live rect,.ours rect{fill:var(--live);stroke:var(--blue)}
.good rect{fill:var(--fine);stroke:var(--green)}.bad rect{fill:var(--alarm);stroke:var(--orange)}
.outside rect{fill:none;stroke-dasharray:5 4}.outside .title{font-size:12.5px}
path{fill:none;stroke-width:2}.plain{stroke:var(--soft)}.blue{stroke:var(--blue)}
.violet{stroke:var(--violet);stroke-dasharray:7 3}.green{stroke:var(--green)}
.orange{stroke:var(--orange);stroke-dasharray:2 3}.thin{stroke:var(--line);stroke-width:1.5}
svg{--paper:#fff;--ink:#1f2328;--soft:#57606a;--line:#8c959f;--box:#fff;--group:#f6f8fa;
--live:#ddf4ff;--fine:#dafbe1;--alarm:#fff1e5;--blue:#0969da;--violet:#8250df;--green:#1a7f37;
--orange:#bc4c00}
@media (prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9da7b3;
--line:#6e7681;--box:#161b22;--group:#10161d;--live:#0c2d4d;--fine:#12361f;--alarm:#3d2207;
--blue:#58a6ff;--violet:#bc8cff;--green:#3fb950;--orange:#f0883e}}
"""
LOOKS = {
    "plain": "--soft",
    "blue": "--blue",
    "violet": "--violet",
    "green": "--green",
    "orange": "--orange",
    "thin": "--line",
}


@dataclass(frozen=True)
class Box:
    """A rectangle with two lines of text."""

    x: float
    y: float
    w: float
    h: float

    def at(self, side: str) -> tuple[float, float, int, int]:
        """The point on a side, and which way is out."""
        share = int(side[1:] or 50) / 100
        across, down = self.x + self.w * share, self.y + self.h * share
        return {
            "n": (across, self.y, 0, -1),
            "s": (across, self.y + self.h, 0, 1),
            "w": (self.x, down, -1, 0),
            "e": (self.x + self.w, down, 1, 0),
        }[side[0]]


@dataclass
class Drawing:
    """What was drawn so far."""

    boxes: dict[str, Box] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    size: str = "0 0"
    title: str = ""
    back: list[str] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    front: list[str] = field(default_factory=list)

    def frame(self, head: str, said: list[str]) -> None:
        """Draw a group."""
        name, *place, edge = head.split()
        box = self.boxes[name] = Box(*map(float, place))
        base = box.y + (20 if edge == "top" else box.h - 10)
        self.back.append(
            f'<rect class="frame" x="{box.x:g}" y="{box.y:g}" width="{box.w:g}" '
            f'height="{box.h:g}" rx="10"/><text class="note" x="{box.x + 10:g}" '
            f'y="{base:g}">{escape(said[0])}</text>\n'
        )

    def holds(self, head: str, _said: list[str]) -> None:
        """Note what a group stands for."""
        name, boxes = head.split(":")
        self.held[name] = boxes.strip()

    def box(self, head: str, said: list[str]) -> None:
        """Draw a box; it is a link if it leads somewhere."""
        name, *place, look = head.split()
        box = self.boxes[name] = Box(*map(float, place))
        title, what, link = [*said, "", ""][:3]
        middle, base = box.x + box.w / 2, box.y + box.h / 2 + (5 if not what else -3)
        below = (
            f'<text class="what" text-anchor="middle" x="{middle:g}" y="{base + 18:g}">'
            f"{escape(what)}</text>"
        )
        drawn = (
            f'<g class="{look}" data-box={quoteattr(name)}><rect x="{box.x:g}" y="{box.y:g}" '
            f'width="{box.w:g}" height="{box.h:g}" rx="8"/><text class="title" '
            f'text-anchor="middle" x="{middle:g}" y="{base:g}">{escape(title)}</text>'
            f"{below if what else ''}</g>"
        )
        self.front.append((f"<a href={quoteattr(link)}>{drawn}</a>" if link else drawn) + "\n")

    def arrow(self, head: str, said: list[str]) -> None:
        """Draw a curve that leaves and meets its boxes squarely."""
        start, _, end_and_look = head.partition(" -> ")
        end, look = end_and_look.split()
        (source, out), (target, into) = start.split(":"), end.split(":")
        x1, y1, dx1, dy1 = self.boxes[source].at(out)
        x2, y2, dx2, dy2 = self.boxes[target].at(into)
        bend = max(abs(x2 - x1), abs(y2 - y1)) * 0.45
        cx1, cy1, cx2, cy2 = x1 + dx1 * bend, y1 + dy1 * bend, x2 + dx2 * bend, y2 + dy2 * bend
        self.arrows.append(
            f"<path class={quoteattr(look)} data-from={quoteattr(self.held.get(source, source))} "
            f'data-to={quoteattr(target)} d="M{x1:g} {y1:g}C{cx1:g} {cy1:g} {cx2:g} {cy2:g} '
            f'{x2:g} {y2:g}" marker-end="url(#{look})"/>\n'
        )
        if said and said[0]:
            x, y = (x1 + 3 * cx1 + 3 * cx2 + x2) / 8, (y1 + 3 * cy1 + 3 * cy2 + y2) / 8
            self.front.append(
                f'<text class="label" text-anchor="middle" x="{x:g}" y="{y + 4:g}">'
                f"{escape(said[0])}</text>\n"
            )

    def note(self, head: str, said: list[str]) -> None:
        """Write a line of text."""
        x, y, look = head.split()
        self.front.append(f'<text class="note {look}" x="{x}" y="{y}">{escape(said[0])}</text>\n')

    def key(self, head: str, said: list[str]) -> None:
        """Explain a kind of arrow."""
        x, y, look = head.split()
        self.arrows.append(
            f'<path class="{look}" d="M{x} {float(y) - 4:g}h34" marker-end="url(#{look})"/>\n'
        )
        self.note(f"{float(x) + 44:g} {y} key", said)

    def svg(self) -> str:
        """The whole picture."""
        width, height = self.size.split()
        tips = "".join(
            f'<marker id="{look}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" '
            f'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" style="fill:var({ink});stroke:none"/></marker>'
            for look, ink in LOOKS.items()
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label={quoteattr(self.title)} font-family="system-ui, sans-serif">\n'
            f"<style>{STYLE}</style>\n<defs>{tips}</defs>\n"
            f'<rect class="paper" width="{width}" height="{height}" rx="12"/>\n'
            f"{''.join([*self.back, *self.arrows, *self.front])}</svg>\n"
        )


def draw(text: str) -> str:
    """The picture that a text describes."""
    drawing = Drawing()
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, rest = line.partition(" ")
        if kind in ("title", "size"):
            setattr(drawing, kind, rest)
            continue
        head, *said = [part.strip() for part in rest.split("|")]
        getattr(drawing, kind)(head, said)
    return drawing.svg()


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else DOCS
    for picture in PICTURES:
        text = (DOCS / f"{picture}.txt").read_text(encoding="utf-8")
        (folder / f"{picture}.svg").write_text(draw(text), encoding="utf-8")
