"""The use cases of accounts, a file for each."""
