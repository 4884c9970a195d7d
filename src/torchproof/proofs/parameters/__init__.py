"""What becomes of parameters: held, reached, updated, remembered, forgotten."""
