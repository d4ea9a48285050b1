"""Is a figure of this window out of line with the windows before it? One file a method."""
