"""A small language model that learns a text of known entropy."""
