"""What the workers do about goods on their way: nothing is heard by event, the carrier's words fall due by the clock.

`workers.sweeps.move_shipments` lets the simulated carrier report; other carriers report through the API.
"""
