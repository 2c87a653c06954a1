"""What a line costs. One function prices, for browsing and placing alike.

Terms. The unit price is that of the highest tier that the packs of the line reach; tiers are given per listing, rising
in packs and falling in price. A line is `packs x unit price`, whole fen, nothing to round. Freight is quoted once per
cooperative and temperature class and dealt to the lines by weight, by largest remainder. Prices include tax.
"""
