"""The tRPC door against the official server and clients: same requests, same answers, same types."""
