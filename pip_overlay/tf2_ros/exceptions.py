"""What can be wrong with a lookup."""


class TransformException(Exception):
    """Base of all errors of a lookup."""


class ConnectivityException(TransformException):
    """Both frames exist but not in one tree."""


class ExtrapolationException(TransformException):
    """The transform is not known at the requested time."""


class InvalidArgumentException(TransformException):
    """A frame name that no frame can have."""


class LookupException(TransformException):
    """A frame that has never been heard of."""


class TimeoutException(TransformException):
    """The transform did not become available in time."""
