"""Price monitoring: what a listing costs beside market references, its own history and others of the same good.

Owns the dated rules, the approved mappings from goods to references, alerts and buyers' reports. Announces
`price_alert.opened`, `.explained`, `.decided`, `.closed`, `.overdue`, `price_report.received`, `.decided` and
`price_mapping.changed`.
"""
