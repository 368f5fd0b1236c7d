"""The source of tiny.yaml: `.venv-kfp/bin/python tests/pipelines/tiny.py` compiles it again."""

from pathlib import Path

from kfp import compiler, dsl


@dsl.component(base_image="python:3.11")
def say(word: str, number: float, gate: str, dispatch_id: str) -> str:
    """Wait until somebody writes to the gate, if there is one; then fail if told to."""
    with open("result.json", "w") as mine:  # noqa: PTH123  the function's source travels alone
        mine.write("a task's own file")
    if gate:
        with open(gate) as waiting:  # noqa: PTH123
            waiting.read()
    if word == "fail":
        raise ValueError("no data to train on")
    return f"{word} {number!r} {dispatch_id}"


@dsl.pipeline(name="tiny")
def tiny(word: str, number: float = 0.5, gate: str = "", dispatch_id: str = "") -> str:
    """Say what was given."""
    return say(word=word, number=number, gate=gate, dispatch_id=dispatch_id).output


if __name__ == "__main__":
    compiler.Compiler().compile(tiny, str(Path(__file__).with_name("tiny.yaml")))
