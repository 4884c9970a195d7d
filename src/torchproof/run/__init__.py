"""Sealed execution: environment, sandbox, GPU lease, and the record that comes out."""
