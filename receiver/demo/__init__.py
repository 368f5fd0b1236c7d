"""The demo: a real alert becomes one retraining run, on one machine, before your eyes."""
