"""WildHands' losses: pose, shape, camera, joints, masks and grasps, each where it is labelled."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.networks.hand_crops import HandViews
from hand_pose_ros.networks.joint_maps import MappedJoints
from hand_pose_ros.networks.precision import full_precision
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.networks.silhouette import soft_silhouette
from hand_pose_ros.networks.wildhands import (
    MAP_DEPTH,
    WildHandsOutput,
    focal_length,
    scale_from_distance,
)
from hand_pose_ros.training.losses.cells import cell_entropy

Normalisation = Literal['valid', 'all']

_SOME_HAND = 3  # in masks: a hand of unknown side
_UNKNOWN = 255  # in masks here: not compared
_LEFT_ARM, _RIGHT_ARM = 3, 4  # in surfaces
_TINY = 1e-4  # metres


@dataclass(frozen=True, kw_only=True)
class WildHandsLossConfig:
    """Weights and how means are taken. Source: methods specification, section 2.5.

    Attributes:
        pose: on rotation matrices.
        shape: on betas.
        camera: on (s, tx, ty), refined and initial.
        relative_camera: on the difference of the two hands' cameras.
        joints_3d: root-relative, metres.
        joint_distance: on the mean distance of root-relative joints in metres, which is MPJPE; 0
            leaves the term out, as published. Squares let hands that the image hardly shows
            outweigh all others.
        place_distance: on the mean distance of the translations in metres; 0 leaves the term out,
            as published. Squares of a scale, one over the distance, are smallest for hands placed
            too near, and mostly about those that are near.
        joints_2d: in units of half the patch.
        mask: absolute difference of soft silhouette and hand mask; 0 draws no silhouettes.
        grasp: cross-entropy.
        cells: cross-entropy of the cells that joints lie in, where the network has maps of them.
        mapped: on the absolute error of what the maps say, in their units.
        normalise: ``valid`` divides by the labelled hands; ``all`` by all hands, as published, so
            that weights depend on the mix of data sets.
        mask_size: pixels along a side of the silhouettes.
    """

    pose: float = 10.0
    shape: float = 0.001
    camera: float = 1.0
    relative_camera: float = 1.0
    joints_3d: float = 5.0
    joint_distance: float = 0.0
    place_distance: float = 0.0
    joints_2d: float = 5.0
    mask: float = 10.0
    grasp: float = 0.1
    cells: float = 0.1
    mapped: float = 2.0
    normalise: Normalisation = 'valid'
    mask_size: int = 112


class WildHandsTargets(NamedTuple):
    """Labels in the patch's units; NaN-free, ``valid`` says which count.

    Attributes:
        rotations: (N, 2, 16, 3, 3).
        betas: (N, 2, 10).
        camera: (N, 2, 3) s, tx, ty.
        translation: (N, 2, 3) metres.
        joints: (N, 2, 21, 3) metres.
        joints_known: (N, 2, 21) bool.
        pixels: (N, 2, 21, 2) in the patch.
        pixels_known: (N, 2, 21) bool.
        mask: (N, S, S) labels 0-3, or 255 where unknown, in the patch at ``mask_size``; or None.
        grasp: (N, 2).
        valid: per target (N, 2) bool.
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor
    translation: Tensor
    joints: Tensor
    joints_known: Tensor
    pixels: Tensor
    pixels_known: Tensor
    mask: Tensor | None
    grasp: Tensor
    valid: dict[str, Tensor]


def wildhands_targets(
    batch: ViewBatch, views: HandViews, config: WildHandsLossConfig
) -> WildHandsTargets:
    """Bring the labels of a batch into the form in which the network's output is compared.

    Hands whose crop could not be cut and repeated frames do not count.
    """
    patch = views.image.shape[-1]
    counted = views.present & (batch.not_padding > 0.5)[:, None]
    valid = {name: flags & counted for name, flags in batch.valid.items()}
    pose = torch.cat([batch.global_orient[:, :, None], batch.hand_pose], dim=2)
    focal = focal_length(views.intrinsics)[:, None]
    distance = batch.translation[..., 2]
    # A hand behind the camera has no scale.
    valid['camera'] = valid['camera'] & (distance > 0.01)
    scale = scale_from_distance(distance, focal, patch)
    camera = torch.cat([scale[..., None], batch.translation[..., :2]], dim=-1)
    for name, target in (('pose', pose), ('betas', batch.betas), ('camera', camera)):
        valid[name] = valid[name] & torch.isfinite(target).flatten(2).all(dim=2)
    joints_known = torch.isfinite(batch.joints).all(dim=-1) & valid['joints_3d'][..., None]
    # Root-relative: without the wrist there is nothing to compare with.
    joints_known = joints_known & joints_known[..., :1]
    pixels = views.frame.to_patch(batch.pixels)
    pixels_known = torch.isfinite(pixels).all(dim=-1) & valid['joints_2d'][..., None]
    # A point near the plane of the camera is far outside the image: it would drown all others.
    pixels_known = pixels_known & ((pixels > -patch) & (pixels < 2 * patch)).all(dim=-1)
    with full_precision(pose):
        rotations = rotation_from_axis_angle(pose.nan_to_num(0.0))
    return WildHandsTargets(
        rotations=rotations,
        betas=batch.betas.nan_to_num(0.0),
        camera=camera.nan_to_num(0.0, 0.0, 0.0),
        translation=batch.translation.nan_to_num(0.0, 0.0, 0.0),
        joints=batch.joints.nan_to_num(0.0),
        joints_known=joints_known,
        pixels=pixels.nan_to_num(0.0, 0.0, 0.0),
        pixels_known=pixels_known,
        mask=_patch_mask(batch, views, config) if config.mask else None,
        grasp=batch.grasp.clamp(min=0),
        valid=valid | {'grasp': valid['grasp'] & (batch.grasp >= 0)},
    )


def wildhands_loss(
    output: WildHandsOutput, targets: WildHandsTargets, views: HandViews,
    config: WildHandsLossConfig, faces: Tensor | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Compare the network's output with the labels of a batch.

    Args:
        output: with vertices if masks count.
        targets: see ``wildhands_targets``.
        views: what the network saw.
        config: weights.
        faces: (2, F, 3) of the hand layer, for masks.

    Returns:
        unweighted ``pose``, ``shape``, ``camera``, ``initial_camera``, ``relative_camera``,
        ``joints_3d``, ``joints_2d``, and where they apply ``joint_distance``, ``place_distance``,
        ``mask``, ``grasp``, ``cells`` and ``mapped``; and ``total``, their weighted sum. Left and
        right hand add up.
    """
    valid = targets.valid

    def mean(errors: Tensor, counted: Tensor) -> Tensor:
        return _mean(errors, counted, config.normalise)

    squares = _squares
    both = valid['camera'].all(dim=1)
    relative = (_root_relative(output.joints), _root_relative(targets.joints))
    terms = {
        'pose': mean(squares(output.rotations, targets.rotations), valid['pose']),
        'shape': mean(squares(output.betas, targets.betas), valid['betas']),
        'camera': mean(squares(output.camera, targets.camera), valid['camera']),
        'initial_camera': mean(squares(output.initial_camera, targets.camera), valid['camera']),
        'relative_camera': mean(
            squares(
                (output.camera[:, 0] - output.camera[:, 1])[:, None],
                (targets.camera[:, 0] - targets.camera[:, 1])[:, None],
            ),
            both[:, None],
        ),
        'joints_3d': mean(*_joint_errors(*relative, targets.joints_known)),
        'joints_2d': mean(
            *_joint_errors(
                _normalised(output.pixels, views), _normalised(targets.pixels, views),
                targets.pixels_known,
            )
        ),
    }  # fmt: skip
    if config.joint_distance:
        terms['joint_distance'] = mean(*_joint_distances(*relative, targets.joints_known))
    if config.place_distance:
        places = _distances(output.translation, targets.translation)
        terms['place_distance'] = mean(places, valid['camera'])
    if config.mask and targets.mask is not None and output.vertices is not None:
        assert faces is not None, 'masks need the faces of the hand layer'
        terms['mask'] = mean(*_mask_errors(output.vertices, faces, targets, views, config))
    if output.grasp_logits is not None:
        entropy = functional.cross_entropy(
            output.grasp_logits.flatten(0, 1), targets.grasp.flatten(), reduction='none'
        )
        terms['grasp'] = mean(entropy.view_as(targets.grasp), valid['grasp'])
    if output.maps is not None:
        terms |= _map_terms(output.maps, targets, views)
    weights = vars(config) | {'initial_camera': config.camera}
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return {**terms, 'total': total}


def _map_terms(
    maps: MappedJoints, targets: WildHandsTargets, views: HandViews
) -> dict[str, Tensor]:
    """Compare what maps say of the joints in their crops with the labels; means of all joints."""
    corner, far = views.boxes[:, :, None].split(2, dim=-1)
    shares = (targets.pixels - corner) / (far - corner)  # (N, 2, 21, 2), 0..1 in the crop
    in_crop = ((shares > 0) & (shares < 1)).all(dim=-1)
    seen = targets.pixels_known & in_crop
    rows, columns = maps.logits.shape[-2:]
    cells = shares.new_tensor([columns, rows])
    entropy = cell_entropy(
        maps.logits.flatten(0, 1), (shares * cells - 0.5).flatten(0, 1), seen.flatten(0, 1)
    )
    middle = (views.boxes[..., :2] + views.boxes[..., 2:]) / 2
    focal = views.intrinsics[:, None, [0, 1], [0, 1]]
    ray = functional.pad((middle - views.intrinsics[:, None, :2, 2]) / focal, (0, 1), value=1.0)
    ray = functional.normalize(ray, dim=-1)[:, :, None]
    depth = (_root_relative(targets.joints) * ray).sum(dim=-1, keepdim=True) / MAP_DEPTH
    wanted = torch.cat([2 * shares - 1, depth], dim=-1)
    known = torch.stack([seen, seen, seen & targets.joints_known], dim=-1)
    errors = torch.where(known, (maps.places - wanted).abs(), 0.0)
    return {'cells': entropy, 'mapped': errors.sum() / known.sum().clamp(min=1)}


def _squares(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared difference per hand (N, 2)."""
    return (predicted - wanted).square().flatten(2).mean(dim=2)


def _mean(errors: Tensor, counted: Tensor, normalise: Normalisation) -> Tensor:
    """Average errors (N, 2) over the hands that count, per side, and add the sides."""
    kept = torch.where(counted, errors, torch.zeros_like(errors)).sum(dim=0)
    if normalise == 'all':
        return (kept / len(errors)).sum()
    return (kept / counted.sum(dim=0).clamp(min=1)).sum()


def _joint_errors(predicted: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared difference over the known joints per hand, and who has any."""
    return _over_joints((predicted - wanted).square().mean(dim=-1), known)


def _joint_distances(predicted: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean distance of the known joints per hand, and who has any."""
    return _over_joints(_distances(predicted, wanted), known)


def _distances(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Return distances (...) of points (..., 3); also where they are zero, they have a slope."""
    squares = (predicted - wanted).square().sum(dim=-1)
    return (squares + _TINY**2).sqrt() - _TINY


def _over_joints(errors: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Average errors (N, 2, J) over the known joints per hand; also return who has any."""
    errors = torch.where(known, errors, torch.zeros_like(errors)).sum(dim=-1)
    count = known.sum(dim=-1)
    return errors / count.clamp(min=1), count > 0


def _root_relative(joints: Tensor) -> Tensor:
    return joints - joints[:, :, :1]


def _normalised(pixels: Tensor, views: HandViews) -> Tensor:
    """Return pixels of the patch in -1..1."""
    return (2 * pixels + 1) / views.image.shape[-1] - 1


def _patch_mask(batch: ViewBatch, views: HandViews, config: WildHandsLossConfig) -> Tensor | None:
    """Return the hand mask (N, S, S) of the padded image: per pixel the label that is nearest.

    Outside the image nothing is known, and a forearm may hide the wrist end of the mesh.
    """
    if batch.hand_mask is None:
        return None
    size = config.mask_size
    labels = batch.hand_mask
    if batch.surface is not None:
        arm = (batch.surface == _LEFT_ARM) | (batch.surface == _RIGHT_ARM)
        labels = labels.masked_fill(arm, _UNKNOWN)
    height, width = labels.shape[-2:]
    step = max(height, width) / size
    along = (torch.arange(size, device=labels.device) + 0.5) * step
    x = (along + views.frame.start[0]).round().long()
    y = (along + views.frame.start[1]).round().long()
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
    rows, columns = y.clamp(0, height - 1), x.clamp(0, width - 1)
    return labels[:, rows[:, None], columns].masked_fill(~inside, _UNKNOWN)


def _mask_errors(
    vertices: Tensor, faces: Tensor, targets: WildHandsTargets, views: HandViews,
    config: WildHandsLossConfig,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the mean absolute difference of silhouette and mask per hand, and who counts.

    Pixels of the other hand are left out, for this one may be hidden behind it. A hand of unknown
    side is taken for the only one that is there, and left out where there are two.
    """
    assert targets.mask is not None
    counted = targets.valid['mask']
    chosen = counted.nonzero(as_tuple=False)
    errors = vertices.new_zeros(counted.shape)
    if not len(chosen):
        return errors, counted
    rows, sides = chosen.unbind(dim=1)
    size = config.mask_size
    patch = views.image.shape[-1]
    matrix = views.intrinsics[rows].clone()
    matrix[:, :2, :2] *= size / patch
    matrix[:, :2, 2] = (matrix[:, :2, 2] + 0.5) * (size / patch) - 0.5
    with full_precision(vertices):
        soft = soft_silhouette(vertices[rows, sides], faces[sides], matrix, size)
    label, own = targets.mask[rows], (sides + 1)[:, None, None]
    alone = (counted[rows].sum(dim=1) == 1)[:, None, None]
    hand = (label == own) | ((label == _SOME_HAND) & alone)
    compared = (label == 0) | hand
    difference = (soft - hand.to(soft.dtype)).abs() * compared
    mean = difference.sum(dim=(1, 2)) / compared.sum(dim=(1, 2)).clamp(min=1)
    return errors.index_put((rows, sides), mean), counted
