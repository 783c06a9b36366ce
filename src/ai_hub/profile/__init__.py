"""What is in an export: the distribution of each column, missing shares, and correlations."""
