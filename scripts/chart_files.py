"""Makes what the chart holds twice: copies of rules and dashboards, and README's table of values.

`--check` changes nothing; it names what is not as it would be made, and exits with 1.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "retrain-receiver"
COPIES = (("rules", "*.yaml"), ("dashboards", "*.json"))
BEGIN, END = "<!-- values: made by scripts/chart_files.py -->", "<!-- end of values -->"
MARK = "# -- "

Row = tuple[str, str, str]


class Undescribed(Exception):
    """A value has no `# --` line."""


def wanted() -> dict[Path, str]:
    """Every made file, and what belongs into it."""
    files = {
        CHART / "files" / folder / source.name: source.read_text()
        for folder, pattern in COPIES
        for source in sorted((ROOT / folder).glob(pattern))
    }
    readme = CHART / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    files[readme] = f"{before}{BEGIN}\n\n{table()}\n{END}{after}"
    return files


def superfluous() -> list[Path]:
    """Copies whose source is gone."""
    made = wanted()
    return [
        path
        for folder, pattern in COPIES
        for path in sorted((CHART / "files" / folder).glob(pattern))
        if path not in made
    ]


def table() -> str:
    """README's table of values."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    document = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    values = yaml.safe_load("\n".join(lines))
    if not isinstance(document, yaml.MappingNode):
        raise TypeError("values.yaml is no mapping")
    rows = [("Value", "Default", "Meaning"), ("---", "---", "---")]
    rows += _rows(document, values, lines, "")
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(
    node: yaml.MappingNode, values: Mapping[str, object], lines: list[str], prefix: str
) -> Iterator[Row]:
    for name, child in node.value:
        value, place = values[name.value], prefix + name.value
        described = description(lines, name.start_mark.line)
        if isinstance(child, yaml.MappingNode) and isinstance(value, dict) and not described:
            yield from _rows(child, value, lines, f"{place}.")
        elif described:
            default = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
            yield f"`{place}`", f"`{default}`", described.replace("|", "\\|")
        else:
            raise Undescribed(f"values.yaml: {place} has no `{MARK.strip()}` line above it")


def description(lines: list[str], key: int) -> str:
    """The comment that stands above a key, without its indented examples."""
    above: list[str] = []
    for line in reversed(lines[:key]):
        text = line.strip()
        if not text.startswith("#"):
            break
        above.insert(0, text)
        if text.startswith(MARK):
            plain = [each for each in above[1:] if not each.startswith("#  ")]
            plain = [text.removeprefix(MARK), *plain]
            return " ".join(each.removeprefix("#").strip() for each in plain)
    return ""


def main(arguments: list[str]) -> int:
    """Write the files, or name those that differ."""
    differing = {
        path: text
        for path, text in wanted().items()
        if not path.exists() or path.read_text() != text
    }
    gone = superfluous()
    if "--check" in arguments:
        for path in [*differing, *gone]:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `make chart-files`\n")
        return 1 if differing or gone else 0
    for path, text in differing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
