"""Totals that carry their members: rollups of the facts, the procurement report, drill, report runs and the checks."""
