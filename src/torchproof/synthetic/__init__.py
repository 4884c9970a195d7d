"""Synthetic data whose bytes are the same on every CPU and whose best metric is known."""
