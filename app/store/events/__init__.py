"""The log of events: appended, read, followed and erased."""
