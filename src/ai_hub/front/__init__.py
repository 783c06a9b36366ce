"""The methods of the feature store that users import, a file for each kind of task."""
