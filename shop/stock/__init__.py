"""What can be sold: supply (a promise from the field or a lot in store), holds of order lines, lots and movements.

Order lines hold supply; a lot is bound at packing, first expired first out. A recall holds lots and stops supply.
Announces `supply.offered`, `capacity.exceeded`, `recall.ordered` and `recall.released`.
"""
