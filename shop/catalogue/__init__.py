"""What is sold: products, listings with packs and price tiers, certificates, revisions, review.

Announces `listing.submitted`, `listing.published`, `listing.returned`, `listing.changed`, `listing.paused`,
`listing.resumed`, `listing.lapsed`, `listing.delisted`, `origin.granted`, `photo.uploaded`,
`photo.removed`, `photo.refused`, `certificate.entered`, `certificate.approved`, `certificate.returned`,
`certificate.withdrawn`, `listing_import.applied`.
"""
