"""One use of the user's step, and everything that can be seen while it runs."""
