"""What a human does: pause, resume, retrain, approve, retry, abandon, reload."""
