"""The produce exchange: one folder per capability, each importing only what stands below it (see README, "How it is built")."""
