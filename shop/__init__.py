"""The produce exchange: a folder per capability, importing only what stands below it (README, "How it is built")."""
