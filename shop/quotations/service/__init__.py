"""What is done with requests for quotation, a file for each step."""
