"""Inputs from the field that once went wrong, one file for each kind."""
