"""Whether what is served is still what a model learned on; values and pure functions."""
