"""Histories as pictures: in the characters of a terminal, and in a file."""
