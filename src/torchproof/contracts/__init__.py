"""Contracts between services: what a model computes, written down and compared."""
