"""What goes wrong while serving: a gRPC status code and a message, and the HTTP status that each code becomes."""

from enum import IntEnum


class Code(IntEnum):
    """The canonical status codes, numbered as gRPC and TensorFlow number them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServingError(Exception):
    """A request or a model that cannot be served; the message is what the client reads."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> ServingError:
    """Return the error of a request that is wrong in itself (HTTP 400)."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def http_status(code: Code) -> int:
    """Return the HTTP status of a status code."""
    match code:
        case Code.OK:
            return 200
        case Code.INVALID_ARGUMENT | Code.FAILED_PRECONDITION | Code.OUT_OF_RANGE:
            return 400
        case Code.UNAUTHENTICATED:
            return 401
        case Code.PERMISSION_DENIED:
            return 403
        case Code.NOT_FOUND:
            return 404
        case Code.ALREADY_EXISTS | Code.ABORTED:
            return 409
        case Code.RESOURCE_EXHAUSTED:
            return 429
        case Code.CANCELLED:
            return 499
        case Code.UNIMPLEMENTED:
            return 501
        case Code.UNAVAILABLE:
            return 503
        case Code.DEADLINE_EXCEEDED:
            return 504
        case Code.UNKNOWN | Code.INTERNAL | Code.DATA_LOSS:
            return 500
