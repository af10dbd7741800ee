"""What costs minutes runs by `make soak`; here it runs for seconds."""
