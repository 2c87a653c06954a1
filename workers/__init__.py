"""The work behind the shop: Celery's application, the relay, and two tables to read (`subscriptions`, `schedule`)."""
