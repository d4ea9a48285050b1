"""The words: every record that crosses a topic, and how it is written and read."""
