"""Divisions, dated pairings, eligibility lists, and the one function that says which bucket a purchase counts in."""
