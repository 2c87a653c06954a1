"""Framework agreements."""
