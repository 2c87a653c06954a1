"""One store of files: a folder, or an S3-compatible bucket, behind one library (obstore). Rows say whose each file is.

Files are stored under ids of our own, never under a given name, and handed out by links that are signed and expire.
"""
