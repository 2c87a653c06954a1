"""What anybody may look at: the list and search of goods, one listing, categories, divisions, pairings."""
