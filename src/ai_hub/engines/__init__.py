"""How one engine computes a feature; no connection."""
