"""The use cases of orders, one file each: placing, moving, cancelling, acceptance, numbers."""
