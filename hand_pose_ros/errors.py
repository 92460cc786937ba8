"""The error every bad input ends in: one sentence with what, where and the fix."""


class HandPoseError(Exception):
    """A problem the user can solve; its text names the path or topic, the value and the fix."""


class RigError(HandPoseError):
    """A rig description or calibration that cannot be used."""


class ImageError(HandPoseError):
    """An image whose encoding, size or content does not fit its stream."""


class ModelError(HandPoseError):
    """A model file that is missing, corrupt or unsafe."""


class CameraError(HandPoseError):
    """A camera driver that does not exist, cannot open its source or lost it."""


class BagError(HandPoseError):
    """A bag that cannot be written or read."""


class DataError(HandPoseError):
    """A data set, split list or label file that is missing or cannot be used."""


class TrainingError(HandPoseError):
    """A training run that cannot start, go on or be resumed."""
