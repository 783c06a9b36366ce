"""What each feature is worth to a model, and what it costs: the extra `importance`."""
