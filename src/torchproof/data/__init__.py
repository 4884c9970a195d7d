"""Data as an input with a version: fingerprints, DVC's locks, and cheap contracts.

`fingerprint` hashes paths, tensors and plain values; `dvc` reads what DVC wrote without importing
it; `split` counts what a split holds, and `contract` says what is wrong with it. Standard library
only, Python 3.9; torch and numpy are used where the data brought them.
"""
