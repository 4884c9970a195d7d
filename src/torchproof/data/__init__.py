"""Data as an input with a version: fingerprints and cheap contracts."""
