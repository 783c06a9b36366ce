"""Bytes, frames and files in; checked Arrow batches and rejected rows out. Nothing here does I/O
other than reading the file it is given."""
