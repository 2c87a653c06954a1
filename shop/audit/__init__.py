"""Who did what to which row, when and why: append-only, ids only, never a personal field."""
