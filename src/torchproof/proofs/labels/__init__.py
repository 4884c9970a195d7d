"""Which labels act on which predictions, and what a model gets to see of them."""
