"""Positions in rows: causality, padding, tokens one by one, series of numbers."""
