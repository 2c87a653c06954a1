"""The suite: folders as in shop/ and workers/; the real PostgreSQL and the real broker; names are sentences."""
