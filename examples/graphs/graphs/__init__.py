"""A small graph network that asks each node what most of its neighbours are."""
