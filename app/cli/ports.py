"""Checks whether a server can listen on a port, before one tries."""

import socket


def port_error(host: str, port: int) -> OSError | None:
    """Why nobody can listen on a port now; None if it is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return error
    return None


def unusable(host: str, port: int, setting: str, error: OSError) -> str:
    """The sentence about a port that cannot be used, with the remedy."""
    return f"Port {port} on {host} cannot be used ({error.strerror}); stop what listens there, or set {setting}."
