"""Operators' acts: pause, resume, retrain, approve, reject, retry, abandon, reload."""
