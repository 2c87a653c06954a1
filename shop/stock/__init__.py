"""What can be sold: supply (a promise from the field or a lot in store), holds of order lines, lots and movements.

Order lines hold supply; a lot is bound at packing, first expired first out. Announces `supply.offered`.
"""
