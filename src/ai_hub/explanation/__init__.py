"""Why features are what they are: what each one read, and why one has no value."""
