"""The log of events: code that appends, reads, follows and erases events."""
