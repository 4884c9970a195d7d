"""What a proof borrows of the process: random state, switches, the lines on its stack."""
