"""What a line costs. One function prices, for browsing and placing alike; this is the whole of its rules.

**Basis.** A line is priced by the first of these that covers it; each has to hold on the day of placing, for this buyer
and this listing, with the pack as it was when the price was agreed:

1. a negotiated quote, once, for up to the packs that were quoted;
2. a framework agreement, as far as its ceilings (in packs for the line, in fen for the agreement) leave room;
3. the tiers of the listing, which anybody may order at.

A basis covers the whole line or none of it: no line has two prices. An agreed price counts where it is above the tier
as well: it was agreed so that both sides can rely on it. Of two agreements, or two quotes, the lower price counts, and
of equal ones the older. Lines draw on the ceiling of their agreement in the order in which they are written.

**Tiers** are `[from packs, fen per pack]`, rising in packs and falling in price; the last that the packs reach counts.

**Amounts.** A line is `packs × unit price`, in whole fen, so there is nothing to round. Freight is quoted once for each
cooperative, origin province and temperature class, rounded half up to the fen, and dealt to the lines by weight, by
largest remainder: the shares sum to the freight. Prices include tax.

**Worked examples**, with tiers of 40.00 yuan from 1 pack and 38.00 from 100; each is a test in `tests/pricing`:

| | what there is | packs | price of a pack | amount of the line |
|---|---|---|---|---|
| A | tiers alone | 99 | 40.00, tier | 3,960.00 |
| B | tiers alone | 100 | 38.00, tier | 3,800.00 |
| C | agreement at 37.50 | 10 | 37.50, agreement | 375.00 |
| D | agreement at 39.00 | 100 | 39.00, agreement | 3,900.00 |
| E | agreement at 37.50 with 9 packs left | 10 | 40.00, tier | 400.00 |
| F | agreement at 37.50 with 375.00 yuan left | 10 | 37.50, agreement | 375.00 |
| G | the same with 374.99 yuan left | 10 | 40.00, tier | 400.00 |
| H | two lines of 10 on an agreement at 37.50 with 400.00 yuan left | 10 and 10 | 37.50 and 40.00 | 375.00 and 400.00 |
| I | quote at 39.50 for 10, agreement at 37.50 | 10 | 39.50, quote | 395.00 |
| J | the same | 11 | 37.50, agreement | 412.50 |
| K | agreements at 37.50 and 37.00 | 10 | 37.00, agreement | 370.00 |
| L | agreement at 37.50 for another pack | 10 | 40.00, tier | 400.00 |
| M | freight of 10.00 yuan over lines of 1, 1 and 1 kg | | | 3.34, 3.33 and 3.33 |
"""
