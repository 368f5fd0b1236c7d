"""The bench measures what it says; how fast that is, no test can tell."""

import json
from urllib.request import urlopen

from bench import reading, stormy_page


def test_every_filter_of_the_bench_finds_a_whole_page(tmp_path):
    """A log that retention had forgotten would answer fast, and prove nothing."""
    with reading.filled(tmp_path, reading.SMALL) as url:
        for name, value in reading.FILTERS.items():
            asked = {name: value} if value else {}

            assert reading.ratio([url, url], [reading.SMALL] * 2, asked, times=1) > 0


def test_the_page_is_measured_in_a_storm(tmp_path):
    """A storm that nobody is asked about would be no storm, and its page a quick one."""
    with stormy_page.stormy(tmp_path, known=300, storm=60) as server:
        with urlopen(server.url + "/models?limit=1") as answer:
            [group] = json.load(answer)["groups"]

        assert (group["kind"], group["count"]) == ("storm", 60)
        assert all(stormy_page.taken(server, path) for path in stormy_page.PAGES)
