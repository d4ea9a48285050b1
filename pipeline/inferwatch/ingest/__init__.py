"""From a topic of single JSON events to batches on the events topic, each row once."""
