"""What the processes say about themselves: every metric is declared here, once."""
