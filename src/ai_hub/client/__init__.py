"""A server of feature vectors, asked over HTTP: `ai_hub.Client` and `ai_hub.AsyncClient`."""
