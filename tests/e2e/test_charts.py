"""A chart asks a real Prometheus: whether a model is good now, told of it alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.sources import SourceDown
from receiver.sources.fetching import Upstream
from receiver.sources.prometheus import PrometheusValues
from receiver.web.page.value_answers import FRESH
from receiver.wiring import SystemClock
from tests.e2e.alerting import Alerting
from tests.page.scene import staged
from tests.page.test_pages import words
from tests.waiting import eventually

REAL = SystemClock()
GOOD, BAD = (0.2, 0.9), (0.62, 0.9)
MINUTE = timedelta(minutes=1)


def test_a_model_is_seen_to_be_good_again(tmp_path):
    """The line's end is what its metric is now, whatever the last delivery said."""
    for name in ("receiver", "alerting"):
        (tmp_path / name).mkdir()
    with (
        staged(tmp_path / "receiver") as scene,
        Alerting(tmp_path / "alerting", f"{scene.peer.url}/webhook") as alerting,
    ):
        clock, service = scene.history.clock, scene.peer.service
        values = PrometheusValues(Upstream(alerting.prometheus))
        service.loaded = replace(service.loaded, values=values)

        def page_says(text):
            clock.jump(REAL.now() - clock.now() - FRESH)
            clock.pass_(FRESH)  # and no answer is kept
            page = scene.peer.get("/ui/models/told-once-a")
            return page.status == 200 and text in words(page)

        clock.jump(REAL.now() - clock.now())
        alerting.exporter.scores = {"told-once-a": BAD, "told-once-b": (0.9, 0.9)}
        eventually(lambda: page_says("HighModelMAE \u2717 0.62 now: bad, above 0.45"))
        alerting.exporter.scores["told-once-a"] = GOOD
        eventually(lambda: page_says("HighModelMAE \u2713 0.2 now: good, not above 0.45"))

        with pytest.raises(SourceDown, match="400"):
            values.values("no promql (", REAL.now() - MINUTE, REAL.now(), MINUTE, seconds=5)
