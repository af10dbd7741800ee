"""The command `synap`."""
