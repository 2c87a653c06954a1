"""Long work: asked for with 202, done by a worker, with progress, cancelling and a result whose link expires.

Announces `job.requested`.
"""
