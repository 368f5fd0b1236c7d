"""The bench measures what it says; how fast that is, no test can tell."""

from bench import reading


def test_every_filter_of_the_bench_finds_a_whole_page(tmp_path):
    """A log that retention had forgotten would answer fast, and prove nothing."""
    with reading.filled(tmp_path, reading.SMALL) as url:
        for name, value in reading.FILTERS.items():
            asked = {name: value} if value else {}

            assert reading.ratio([url, url], [reading.SMALL] * 2, asked, times=1) > 0
