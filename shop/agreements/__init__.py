"""Framework agreements (框架协议): prices that a buyer and a cooperative agreed on for a time, up to a ceiling.

One side proposes, the other accepts; orders draw on the ceiling as they are placed and give back what is cancelled or
not accepted. Announces `agreement.proposed`, `agreement.accepted`, `agreement.declined`, `agreement.withdrawn` and
`agreement.ended`.
"""
