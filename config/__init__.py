"""What the shop needs before it is a shop: settings, the embedded engine, the supervisor, the checks."""
