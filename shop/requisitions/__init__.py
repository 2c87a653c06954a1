"""Requisitions: what an institution means to buy, who approves it, and the order that comes of it.

A change makes a new version and voids every approval of the one before. Orders above what a member may place alone
come from an approved requisition only.
"""
