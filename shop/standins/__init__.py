"""Stand-ins: local servers that speak another party's protocol, for the demo and the tests.

A stand-in keeps its state in memory, binds 127.0.0.1 and can be told to misbehave: to answer late, to break off after
the work was done, to say things twice. The shop meets it only over the wire, exactly as it meets the real party, so
none of the shop's rooms imports anything from here.
"""
