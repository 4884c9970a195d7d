"""What a prediction is asked for: other inputs, other rows, twice, in float64."""
