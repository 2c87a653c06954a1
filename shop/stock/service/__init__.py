"""The use cases of stock: `offering` (what a cooperative promises and harvests), `holding` (what orders take)."""
