"""A small CNN that reads handwritten digits."""
