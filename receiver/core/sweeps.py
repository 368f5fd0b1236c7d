"""Sweeps: every model that fires is seen to again, because something changed for all of them."""

from enum import StrEnum


class Sweep(StrEnum):
    """What is done to each model."""

    DECIDE = "decide"  # a configuration came: its alerts are decided anew
    LOOK = "look"  # a pause or a storm began or ended: when its hold ends is found anew
