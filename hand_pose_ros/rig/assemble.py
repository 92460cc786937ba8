"""Putting the images of one synchronised set into a RigFrame."""

from hand_pose_ros.errors import ImageError
from hand_pose_ros.rig.frame import MODALITIES, RigFrame, StreamImage
from hand_pose_ros.rig.model import CameraDescription, RigDescription


def rig_frame(rig: RigDescription, images: dict[str, StreamImage]) -> RigFrame:
    """Build the frame of one set; results are always expressed in the rig's reference camera.

    The stamp is that of the reference camera, or, when its image is missing, of the first present
    stream in the order thermal, nir, depth, rgb; cameras on other bodies come after the rig's own.

    Raises:
        ImageError: when there is no image, or one of a camera the rig does not have.
    """
    if not images:
        raise ImageError(f'{rig.name}: a frame needs at least one image')
    for name in images:
        if name not in rig.cameras:
            known = ', '.join(rig.cameras)
            raise ImageError(f'{rig.name}: there is no camera {name!r}, use one of {known}')
    reference = rig.reference
    if reference not in images:
        reference = min(images, key=lambda name: _order(rig.cameras[name]))
    return RigFrame(
        streams=dict(images),
        reference=reference,
        frame_id=rig.reference_camera.frame_id,
        T_rig_frame=rig.reference_camera.T_rig_cam,
    )


def _order(camera: CameraDescription) -> tuple[bool, int]:
    """Rank a camera as a substitute for the reference camera, best first."""
    return bool(camera.body), MODALITIES.index(camera.modality)
