"""The fold: everything that is computed, and nothing that talks to the world."""
