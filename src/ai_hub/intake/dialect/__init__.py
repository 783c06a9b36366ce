"""How a file is written: its layout, columns, numbers and times, said or found out."""
