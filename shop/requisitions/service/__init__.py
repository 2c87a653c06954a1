"""The use cases of requisitions, a file each."""
