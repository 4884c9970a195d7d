"""The public corpus of silent bugs, each with its right twin, and what finds them."""
