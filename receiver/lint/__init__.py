"""Reads the whole chain from a rule to a run, offline or live, and says what will not work.

documents (YAML with places) -> readers (Alertmanager, rules, ...) -> checks -> findings -> output
"""
