"""TALK: one module for each thing outside, strangers to each other; wired together elsewhere."""
