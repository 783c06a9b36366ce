"""What files are: text, Parquet, spreadsheets. Each reader finds the header when it is built, and
gives the cells of columns named by their places."""
