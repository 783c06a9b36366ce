"""The tour: believable data, a training set, a first vector, and a server to ask."""
