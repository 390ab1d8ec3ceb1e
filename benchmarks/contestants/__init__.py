"""Ways to turn the same sentences into the same vectors with the same weights, one per file."""
