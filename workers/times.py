"""What runs by the clock: the name of a function in `workers.sweeps` → every how many seconds it is rung for.

Each may run twice or late without harm: beat only rings; what is due is asked of the database by business time,
open-ended, so a sweep that was missed for an hour does an hour's work at the next ring.
"""

EVERY: dict[str, float] = {
    "roll_up": 2.0,
    "cancel_unpaid": 2.0,
    "lapse_holds": 2.0,
    "settle_supply_choices": 5.0,
    "tell_order_times": 10.0,
    "pass_order_times": 10.0,
    "move_shipments": 1.0,
    "close_supply_windows": 5.0,
    "rewrite_lapsed": 60.0,
    "lapse_prices": 60.0,
    "write_unposted": 60.0,
    "keep_landed_prices": 10.0,
    "remind_of_quotas": 3600.0,
    "pass_selling_time": 60.0,
    "pass_price_deadlines": 60.0,
    "watch_prices": 600.0,
    "open_quotes": 10.0,
    "run_standing_orders": 60.0,
    "forget_personal": 3600.0,
    "ask_stripe": 10.0,
    "forget_old": 3600.0,
    "drop_files": 3600.0,
    "check": 300.0,
    "check_all": 1800.0,
}
APART = frozenset(
    {
        "pass_order_times",
        "settle_supply_choices",
        "ask_stripe",
        "forget_old",
        "run_standing_orders",
        "drop_files",
        "check",
        "check_all",
    }
)
"""Those marked `calls_out`: they wait for somebody else or take long, and are done where other work does not wait."""
