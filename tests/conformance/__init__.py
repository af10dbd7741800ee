"""The tRPC door compared with the official server and clients: same requests, same answers, same types."""
