"""Spreadsheets in and out: the one reader of every import and the one writer of every export.

`reader` turns a file into rows, `mapping` rows into values with every error named by row and column, `changes` says
what an import would do before it does it, `writer` streams rows out as csv or xlsx. No table is owned and nothing is
announced.
"""
