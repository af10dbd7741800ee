"""The console door: the pages that people look at the log with, at `/console`."""
