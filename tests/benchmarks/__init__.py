"""How fast the shop is, each figure beside its limit in the same run: `python3 run.py bench [name …]`.

*hello* is a bare Flask JSON answer under gunicorn gthread, two workers of four threads. *sql* is a pgbench script with
the logged writes of one order, set-based, in one transaction. Shares are medians of rounds that alternate with their
limit; absolute figures wobble with the machine, shares and CPU time an operation much less.
"""
