"""KPE: stated values and order, invariance to resolution, alignment of the dense form."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.networks.positional_encoding import (
    dense_encoding,
    encode_angles,
    legacy_dense_encoding,
    pseudo_intrinsics,
    sparse_encoding,
    viewing_angles,
)

K = torch.tensor([[[200.0, 0.0, 112.0], [0.0, 200.0, 112.0], [0.0, 0.0, 1.0]]]).double()
# Source: methods specification, section 2.2; sin, cos for k = 0..3 of the angle of pixel 0.
OF_ZERO = [-0.488603, 0.872506, -0.852619, 0.522533, -0.891044, -0.453917, 0.808921, -0.587918]


def test_the_stated_values():
    points = torch.tensor([[[112.0, 112.0], [0.0, 0.0]]]).double()
    angles = viewing_angles(points, K)
    assert torch.equal(angles[0, 0], torch.zeros(2).double())
    assert float(angles[0, 1, 0]) == pytest.approx(-0.510488, abs=1e-6)
    assert encode_angles(angles[0, 0, :1]).tolist() == [0.0, 1.0] * 4
    assert encode_angles(angles[0, 1, :1]).numpy() == pytest.approx(np.array(OF_ZERO), abs=1e-6)


def test_channels_and_their_order():
    box = torch.tensor([[10.0, 20.0, 90.0, 140.0]]).double()
    code = sparse_encoding(box, K)
    assert code.shape == (1, 80)

    def angle(value):
        return np.arctan((value - 112.0) / 200.0)

    centre = [angle(50.0), angle(80.0)]
    corners = [angle(v) for v in (10, 20, 10, 140, 90, 20, 90, 140)]
    expected = [
        function(2.0**k * theta)
        for group in (centre, corners)
        for k in range(4)
        for theta in group
        for function in (np.sin, np.cos)
    ]
    assert code[0].numpy() == pytest.approx(np.array(expected), abs=1e-9)


@pytest.mark.parametrize('factor', [0.25, 0.5, 2.0, 3.7])
def test_both_forms_do_not_change_when_image_intrinsics_and_box_scale_together(factor):
    box = torch.tensor([[-30.5, 20.25, 89.5, 140.25]]).double()
    scaled = K.clone()
    scaled[:, :2] *= factor
    assert torch.allclose(
        sparse_encoding(box, K), sparse_encoding(box * factor, scaled), atol=1e-12
    )
    assert torch.allclose(
        dense_encoding(box, K, (7, 7)), dense_encoding(box * factor, scaled, (7, 7)), atol=1e-12
    )


def test_boxes_are_neither_clipped_nor_rounded():
    inside = torch.tensor([[0.0, 0.0, 50.0, 50.0]]).double()
    for box in ([-40.0, 0.0, 50.0, 50.0], [0.4, 0.0, 50.0, 50.0]):
        other = torch.tensor([box]).double()
        assert (sparse_encoding(other, K) - sparse_encoding(inside, K)).abs().max() > 1e-3


@given(st.floats(-60, 200), st.floats(-60, 200), st.floats(5, 150), st.floats(5, 150))
def test_every_cell_of_the_dense_form_encodes_its_own_place(x, y, width, height):
    box = torch.tensor([[x, y, x + width, y + height]], dtype=torch.float64)
    code = dense_encoding(box, K, (7, 7))
    assert code.shape == (1, 16, 7, 7)
    for row, column in ((0, 0), (2, 5), (6, 1)):
        place = [x + (column + 0.5) / 7 * width, y + (row + 0.5) / 7 * height]
        angles = viewing_angles(torch.tensor([[place]], dtype=torch.float64), K)
        assert torch.allclose(code[0, :, row, column], encode_angles(angles[0, 0]), atol=1e-9)


def test_columns_of_the_dense_form_follow_x_and_rows_y():
    code = dense_encoding(torch.tensor([[0.0, 30.0, 60.0, 90.0]]).double(), K, (7, 7))
    sine_x, sine_y = code[0, 0], code[0, 2]
    assert (sine_x.diff(dim=1) > 0).all()
    assert torch.allclose(sine_x.diff(dim=0), torch.zeros(6, 7).double())
    assert (sine_y.diff(dim=0) > 0).all()
    assert torch.allclose(sine_y.diff(dim=1), torch.zeros(7, 6).double())


def test_the_dense_form_is_the_encoding_of_all_pixels_resized():
    box = torch.tensor([[31.0, 60.0, 143.0, 172.0]]).double()
    pixels = dense_encoding(box, K, (224, 224))
    resized = torch.nn.functional.interpolate(pixels, (7, 7), mode='bilinear', align_corners=False)
    assert torch.allclose(dense_encoding(box, K, (7, 7)), resized, atol=2e-4)


def test_the_published_dense_form_is_transposed_in_a_corner_as_large_as_the_crop():
    box = torch.tensor([[30.7, 60.2, 142.9, 300.0]]).double()  # 112 wide, 164 high inside the patch
    code = legacy_dense_encoding(box, K, 224, (7, 7))
    assert code.shape == (1, 16, 7, 7)
    filled = code[0, 1] > 0  # cosines of x
    assert filled.nonzero().amax(dim=0).tolist() == [3, 4] and filled[:4, :5].all()
    # Row 1 and column 3 of 32-pixel cells lie 47.5 and 111.5 pixels from the corner of the box.
    angles = viewing_angles(torch.tensor([[[30 + 47.5, 60 + 111.5]]]).double(), K)
    assert torch.allclose(code[0, :, 1, 3], encode_angles(angles[0, 0]), atol=1e-3)


def test_the_published_dense_form_knows_nothing_of_a_box_beyond_the_image():
    outside = torch.tensor([[-80.0, 40.0, -5.0, 115.0]]).double()
    assert not legacy_dense_encoding(outside, K, 224, (7, 7)).any()


def test_without_intrinsics_angles_are_those_of_coordinates_from_minus_one_to_one():
    matrix = pseudo_intrinsics(3, 224, K)
    assert matrix.shape == (3, 3, 3)
    assert torch.equal(matrix[1].diagonal(), torch.tensor([112.0, 112.0, 1.0]).double())
    angles = viewing_angles(torch.tensor([[[224.0, 0.0]]]).double().expand(3, 1, 2), matrix)
    assert torch.allclose(angles[0, 0], torch.tensor([np.pi / 4, -np.pi / 4]).double())
