"""Hubs, lanes and the one freight price, the same at browsing, placing and billing."""
