"""Links from a model to where it can be looked at."""

from html import unescape

import pytest

from receiver.config import ConfigError, load_config
from receiver.core.links import links_of
from receiver.core.models import Model
from tests.posts import entry, post
from tests.serving import NO_AUTH, serve

GRAFANA = "https://grafana.example.com/d/models?var-user_id={user_id}"


def test_labels_are_quoted_and_a_link_that_lacks_one_is_left_out():
    """No label leads anywhere else."""
    model = Model("a/b", policy="drift", labels={"user_id": "x&y=../#"})
    templates = {"Grafana": GRAFANA, "other": "https://x/{region}", "us": "https://x/{model}"}

    assert links_of(templates, model) == {
        "Grafana": "https://grafana.example.com/d/models?var-user_id=x%26y%3D..%2F%23",
        "us": "https://x/a%2Fb",
    }


def test_a_models_page_and_answer_have_them(tmp_path):
    """From the file to what an operator clicks."""
    with serve(tmp_path, f"{NO_AUTH}links: {{Grafana: '{GRAFANA}'}}\n") as receiver:
        receiver.post("/webhook", post(entry(name="HighModelMAE", user_id="42")))
        links = receiver.get("/models/42").json()["links"]
        page = unescape(receiver.get("/ui/models/42", headers={"Accept": "text/html"}).text)

    assert links == {"Grafana": "https://grafana.example.com/d/models?var-user_id=42"}
    assert f'href="{links["Grafana"]}"' in page


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("javascript:alert({user_id})", "is no link; write https://grafana"),
        ("https://{user_id}.example.com/", "with the host as it is"),
        ("https://grafana{user_id}/", "with the host as it is"),
        ("grafana/{user_id}", "is no link"),
        ("https://x/{user_di}", "{user_di} is no label that names models; did you mean 'user_id'"),
        ("https://x/{user_id!r}", "may only hold plain fields"),
    ],
)
def test_what_leads_nowhere_is_a_configuration_error(tmp_path, link, said):
    """With its cure; a label must not choose the host."""
    file = tmp_path / "receiver.yaml"
    file.write_text(f"{NO_AUTH}links: {{Grafana: '{link}'}}\n")

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert said in str(caught.value)
