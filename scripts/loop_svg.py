"""Draws docs/loop.svg from docs/loop.txt: the way from a served model to a better one."""

import sys
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, HEIGHT, GAP, MARGIN = 200, 76, 34, 12
COLUMNS = 4
OURS = "retrain-receiver"

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-label={label} font-family="system-ui, sans-serif">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>
"""
BOX = """\
<a href={link}><rect x="{x}" y="{y}" width="200" height="76" rx="8" fill="{fill}" \
stroke="{stroke}" stroke-width="{thick}"/>\
<text x="{middle}" y="{title_y}" text-anchor="middle" font-size="16" font-weight="600" \
fill="#1f2328">{title}</text>\
<text x="{middle}" y="{what_y}" text-anchor="middle" font-size="12.5" fill="#57606a">{what}\
</text></a>
"""
ARROW = """\
<path d="M{x1} {y1} {x2} {y2}" stroke="#57606a" stroke-width="2" fill="none" \
marker-end="url(#tip)"/>
"""


def parts(text: str) -> list[tuple[str, str, str]]:
    """Title, what it does, and where it is described."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    told = [tuple(map(str.strip, line.split("|"))) for line in lines]
    return [(title, what, link) for title, what, link in told]


def place(number: int) -> tuple[int, int]:
    """The upper left corner: the first row goes right, the second comes back."""
    row, column = divmod(number, COLUMNS)
    if row:
        column = COLUMNS - 1 - column
    return MARGIN + column * (WIDTH + GAP), MARGIN + row * (HEIGHT + GAP)


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """From the middle of one side to the middle of the next box's side."""
    (x1, y1), (x2, y2) = start, end
    if x1 == x2:
        x1 = x2 = x1 + WIDTH // 2
        y1, y2 = (y1 + HEIGHT, y2) if y2 > y1 else (y1, y2 + HEIGHT)
    else:
        y1 = y2 = y1 + HEIGHT // 2
        x1, x2 = (x1 + WIDTH, x2) if x2 > x1 else (x1, x2 + WIDTH)
    return ARROW.format(x1=x1, y1=y1, x2=x2, y2=y2)


def draw(text: str) -> str:
    """The whole picture."""
    loop = parts(text)
    places = [place(number) for number in range(len(loop))]
    width = 2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP
    height = 2 * MARGIN + 2 * HEIGHT + GAP
    label = quoteattr("The loop: " + ", then ".join(title for title, _, _ in loop))
    drawn = [HEAD.format(width=width, height=height, label=label)]
    for (title, what, link), (x, y) in zip(loop, places, strict=True):
        ours = title == OURS
        drawn.append(
            BOX.format(
                link=quoteattr(f"../{link}"),
                x=x,
                y=y,
                middle=x + WIDTH // 2,
                title_y=y + 33,
                what_y=y + 55,
                title=escape(title),
                what=escape(what),
                fill="#ddf4ff" if ours else "#ffffff",
                stroke="#0969da" if ours else "#8c959f",
                thick=2 if ours else 1,
            )
        )
    drawn += [arrow(*pair) for pair in zip(places, places[1:] + places[:1], strict=True)]
    return "".join([*drawn, "</svg>\n"])


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if sys.argv[1:] else DOCS / "loop.svg"
    picture.write_text(draw((DOCS / "loop.txt").read_text(encoding="utf-8")), encoding="utf-8")
