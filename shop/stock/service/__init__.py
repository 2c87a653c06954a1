"""The use cases of stock: `offering` (what a cooperative promises and harvests) and `holding` (what orders take of it)."""
