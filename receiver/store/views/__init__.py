"""What is read of the store: values, all of one moment; no SQL leaves this folder."""
