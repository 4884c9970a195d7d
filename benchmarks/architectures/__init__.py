"""Edits of models whose kind is known, and how the contract judges each."""
