"""The use cases of the catalogue, a file each."""
