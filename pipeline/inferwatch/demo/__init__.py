"""The demo: a model server's traffic with a known drift, real processes, a kill, and a proof."""
