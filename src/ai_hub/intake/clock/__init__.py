"""Local times as instants: zones, the repeated hour, steps of the wall clock."""
