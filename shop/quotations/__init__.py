"""Requests for quotation (询价): a buyer asks chosen cooperatives, who quote sealed until the deadline.

Then the quotes are compared by their landed price per accepted kilogram, and each line is awarded to one of them, with
the reason where it is not the cheapest. Whatever that rests on is kept as it was. Announces `quotation.requested`,
`quotation.opened`, `quotation.awarded`, `quotation.closed` and `quotation.cancelled`.
"""
