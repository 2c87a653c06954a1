"""What happened, told exactly once to everyone who hears it.

An event is a row in the commit of what it tells of. The relay numbers events after their commit and makes one delivery
per consumer; a delivery is claimed with a lease and a fencing token, and marked done in the transaction of its effect.
The broker only rings the bell: losing it loses seconds.
"""
