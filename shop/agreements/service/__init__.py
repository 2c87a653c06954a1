"""What is done with agreements, a file for each side of it."""
