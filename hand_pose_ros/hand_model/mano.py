"""The MANO layer of smplx (differentiable, torch) around our own model files."""

import contextlib
import io
from pathlib import Path

import numpy as np
import smplx
import torch
from smplx.utils import Struct

from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE, Side

ROOT_PARENT = 4294967295  # what MANO writes for "no parent"


def mano_layer(side: Side = 'right', path: str | Path | None = None) -> smplx.MANO:
    """Return smplx's MANO with our arrays: axis-angle pose, flat mean hand, no PCA.

    Args:
        side: hand wanted.
        path: model npz; the shipped free hand when None.

    Raises:
        ModelError: the file is not a usable hand model.
    """
    data = load_hand_model(side, path)
    parents = data.parents.astype(np.int64)
    parents[0] = ROOT_PARENT
    posedirs = data.posedirs
    if posedirs is None:
        posedirs = np.zeros((*data.v_template.shape, 135))
    arrays = Struct(
        v_template=data.v_template,
        f=data.faces.astype(np.int64),
        shapedirs=data.shapedirs,
        posedirs=posedirs,
        J_regressor=data.J_regressor,
        weights=data.weights,
        kintree_table=np.stack([parents, np.arange(16)]),
        hands_components=np.eye(45),
        hands_mean=data.hands_mean.ravel(),
    )
    with contextlib.redirect_stdout(io.StringIO()):  # smplx prints a warning about 10 shapes
        return smplx.MANO(
            '',
            is_rhand=side == 'right',
            data_struct=arrays,
            use_pca=False,
            flat_hand_mean=True,
            num_pca_comps=45,
        )


def joints_with_tips(
    joints: torch.Tensor, vertices: torch.Tensor, tips: torch.Tensor
) -> torch.Tensor:
    """Append the tip vertices to smplx's 16 joints (B, 16, 3): (B, 21, 3) in internal order."""
    return torch.cat([joints, vertices[:, tips]], dim=1)[:, list(MANO_TO_OPENPOSE)]
