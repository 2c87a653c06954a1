"""The schema's history: expand, fill, then shrink; each migration suits the code before and after it."""
