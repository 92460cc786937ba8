"""Parameters of the inference node, and the estimator they ask for."""

import importlib.util
from typing import Any

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import registry
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.ros.parameters import NodeParameter
from hand_pose_ros.skeleton import SIDES, Side

# Estimators without a choice of device: their networks run in LiteRT.
_CPU_ONLY = ('landmarks',)
# Share of the time between two images that an estimator on the CPU may take.
_SHARE = 0.8

PARAMETERS = (
    NodeParameter(
        name='rig',
        default='simulated_head_rig',
        description='Rig file, or the name of a rig that comes with the package.',
    ),
    NodeParameter(
        name='estimator',
        default='',
        description='`landmarks`, `therformer`, `wildhands`, `densereg` or `fusion`; empty takes '
        'the one the rig file names.',
    ),
    NodeParameter(
        name='device',
        default='auto',
        choices=('auto', 'cpu', 'cuda'),
        description='Where networks run; `auto` uses a GPU when there is one.',
    ),
    NodeParameter(
        name='policy',
        default='rig',
        choices=('rig', 'adaptive', 'approximate_time'),
        description="How streams are synchronised: as the rig file says, by the package's own "
        "synchroniser, or by message_filters' ApproximateTimeSynchronizer.",
    ),
    NodeParameter(
        name='intrinsics',
        default='rig',
        choices=('rig', 'camera_info'),
        description='Where intrinsics come from; cameras without any in the rig file always take '
        'those of camera_info.',
    ),
    NodeParameter(
        name='image_transport',
        default='raw',
        choices=('raw', 'compressed'),
        description='`compressed` subscribes to `<camera>/image_raw/compressed` (needs cv_bridge).',
    ),
    NodeParameter(
        name='max_future',
        default=1.0,
        minimum=0.0,
        maximum=3600.0,
        read_only=False,
        description='Images stamped further ahead of the clock than this are refused, in s.',
    ),
    NodeParameter(
        name='publish_tf',
        default=True,
        read_only=False,
        description='Whether the joints are sent on /tf.',
    ),
    NodeParameter(
        name='publish_extrinsics',
        default='external',
        choices=('external', 'all', 'none'),
        description='Cameras whose place on the rig this node sends on /tf_static: those with '
        'driver `external`, all, or none. Camera nodes send their own.',
    ),
    NodeParameter(
        name='overlay_stream',
        default='',
        read_only=False,
        description='Stream under `hand_pose/overlay/image_raw`; empty takes the reference.',
    ),
)


def make_estimator(rig: RigDescription, name: str, device: str) -> Estimator:
    """Make the estimator of a rig.

    Args:
        rig: names the estimator and its options.
        name: used instead of the rig's when not empty; it then gets its own defaults.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelError: ``cuda`` is asked for and not there; or what the estimator raises.
    """
    chosen = name or rig.estimator
    if device == 'cuda' and chosen in _CPU_ONLY:
        raise ModelError(
            f"parameter device is 'cuda' but the estimator {chosen!r} runs on the CPU only: use "
            "'auto'"
        )
    if device == 'cuda' and not _has_cuda():
        raise ModelError(
            "parameter device is 'cuda' but PyTorch sees no GPU here: install a CUDA build of "
            "PyTorch and the driver, or use 'auto'"
        )
    options: dict[str, Any] = dict(rig.estimator_options) if chosen == rig.estimator else {}
    if chosen in _CPU_ONLY:
        options.setdefault('time_budget', _SHARE / rig.cameras[rig.reference].rate)
        # Between images 1/30 s apart one step is nearly as good as two, and the next image goes on.
        options.setdefault('iterations', 1)
    elif device != 'auto':
        options['device'] = device
    return registry.create(chosen, options, rig)


def mesh_faces(estimator: Estimator) -> dict[Side, Any]:
    """Return the faces (F, 3) of an estimator's mesh by side; by default the shipped hand's."""
    faces: dict[Side, Any] | None = getattr(estimator, 'faces', None)
    return faces if faces is not None else {side: load_hand_model(side).faces for side in SIDES}


def _has_cuda() -> bool:
    if importlib.util.find_spec('torch') is None:
        return False
    import torch

    return bool(torch.cuda.is_available())
