"""Tensors and what holds them: bits, nested batches, autograd graphs, attributes."""
