"""Replays a history of alerts through the real ladder: what a policy would have done, and cost.

histories -> truth (when each model was bad) -> replay (alerts, ladder, runs) -> answers
"""
