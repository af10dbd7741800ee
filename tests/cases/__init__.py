"""Inputs from the field that the server once handled wrongly, one file for each kind."""
