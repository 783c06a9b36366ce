"""Where observations live: all offline reading and writing."""
