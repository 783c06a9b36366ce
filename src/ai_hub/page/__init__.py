"""The page that a server shows to people: a file for each page, and a template of the same name."""
