"""A played year: invented parties order real produce of real counties through HTTP, the workers and a moved clock.

`facts/` holds what the year is played with. Products, counties, seasons and pack sizes are of the real world; prices
are plausible wholesale prices. Every cooperative and buyer is made up, says so in its name, and has a social credit
code that checks but was never issued. A certificate says what kind a product of that name may carry, not that one was
looked up. Roads and freight rates are assumed.
"""
