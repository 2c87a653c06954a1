"""Listings by spreadsheet, as cooperatives keep them: tried first, with every change and every error, then applied.

A file is read by a job into rows that say what each would do; confirming does exactly that, in batches that a worker
can take up where another fell. The same file again changes nothing.
"""
