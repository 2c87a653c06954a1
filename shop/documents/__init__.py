"""Paper: order confirmations, acceptance notes, picking sheets and report tables as PDF, in Chinese and English.

Callers give plain data and get bytes; no table is owned and nothing is announced. Each template says in its first lines
what data it takes.
"""
