"""The socket that the server listens on, taken before any model is loaded."""

import errno
import socket

from recsys_tf.errors import InputError


def listening_socket(host: str, port: int, option: str = "--rest-port") -> socket.socket:
    """Bind a TCP socket for the server; port 0 takes a free one. Raises InputError, naming the option, when it cannot
    be had."""
    if not 0 <= port <= 65535:
        raise InputError(f"{port} is no port; ports go from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"cannot listen on {host}: {error.strerror or error}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Binding alone succeeds beside another socket that is bound but does not listen yet.
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use; choose another with {option}, or 0 for a free one") from error
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener
