"""The filter language: parsing, SQL and evaluation in memory, compared with each other."""
