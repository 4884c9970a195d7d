"""Tests in which the trained model is the unit: capabilities, kinds, slices, examples."""
