"""The whole shop, served by its real processes on a database and a broker of the test's own, spoken to over HTTP."""
