"""Files by URL: object storage, and folders with the same contract."""
