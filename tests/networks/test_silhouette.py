"""Soft silhouettes: equal to a brute-force loop, gradients, hard masks in the limit."""

import math

import pytest
import torch

from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.silhouette import BLUR, NEAR, SIGMA, soft_silhouette

SIZE = 24
K = torch.tensor([[[22.5, 0.0, 11.0], [0.0, 23.5, 12.0], [0.0, 0.0, 1.0]]])


def tetrahedron(shift=(0.0, 0.0, 0.0), dtype=torch.float64):
    points = [[-0.1, -0.12, 0.52], [0.15, -0.05, 0.5], [0.02, 0.14, 0.55], [0.0, 0.0, 0.4]]
    return torch.tensor([points], dtype=dtype) + torch.tensor(shift, dtype=dtype)


FACES = torch.tensor([[0, 1, 2], [0, 1, 3], [1, 2, 3], [2, 0, 3]])


def normalised(points, matrix, size):
    image = points @ matrix.T
    return (2 * image[:, :2] / image[:, 2:] + 1) / size - 1


def brute_force(vertices, faces, matrix, size, sigma, blur):
    """The definition, pixel by pixel and face by face."""
    corners = normalised(vertices, matrix, size)
    mask = torch.zeros(size, size, dtype=vertices.dtype)
    for row in range(size):
        for column in range(size):
            pixel = torch.tensor([2 * column + 1, 2 * row + 1], dtype=vertices.dtype) / size - 1
            clear = 1.0
            for face in faces.tolist():
                distances, sides = [], []
                for a, b in zip(face, face[1:] + face[:1], strict=True):
                    edge, to = corners[b] - corners[a], pixel - corners[a]
                    share = (to @ edge / (edge @ edge)).clamp(0, 1)
                    distances.append(float((to - share * edge).square().sum()))
                    sides.append(float(edge[0] * to[1] - edge[1] * to[0]))
                inside = all(s >= 0 for s in sides) or all(s <= 0 for s in sides)
                if inside or min(distances) < blur:
                    signed = -min(distances) if inside else min(distances)
                    clear *= 1 - 1 / (1 + math.exp(signed / sigma))
            mask[row, column] = 1 - clear
    return mask


def test_the_constants_are_the_published_ones():
    assert pytest.approx(1e-4) == SIGMA
    assert pytest.approx(1.38e-4, rel=2e-3) == BLUR


@pytest.mark.parametrize('sigma', [1e-4, 1e-3])
def test_it_equals_a_loop_over_pixels_and_faces(sigma):
    vertices, matrix = tetrahedron(), K.double()
    soft = soft_silhouette(vertices, FACES, matrix, SIZE, sigma=sigma, blur=10 * sigma)
    expected = brute_force(vertices[0], FACES, matrix[0], SIZE, sigma, 10 * sigma)
    assert torch.allclose(soft[0], expected, atol=1e-9)


def test_chunks_do_not_change_mask_or_gradient():
    masks, gradients = [], []
    for chunk in (10**6, 500):
        vertices = tetrahedron().requires_grad_()
        mask = soft_silhouette(vertices, FACES, K.double(), SIZE, chunk=chunk)
        (mask * torch.linspace(0, 1, SIZE)).sum().backward()
        masks.append(mask.detach())
        gradients.append(vertices.grad)
    assert torch.allclose(masks[0], masks[1])
    assert torch.allclose(gradients[0], gradients[1])


def test_gradients_are_those_of_finite_differences():
    vertices = tetrahedron().requires_grad_()
    faces = FACES[1:3]

    def mask(vertices):
        return soft_silhouette(vertices, faces, K.double() / 2, 12, sigma=1e-2, blur=1e3)

    assert torch.autograd.gradcheck(mask, vertices, eps=1e-7, atol=1e-4)


def iou(one, other):
    one, other = one > 0.5, other > 0.5
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope='module')
def hands():
    """Both shipped hands at 0.4 m as large meshes in the image."""
    layer = HandLayer()
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    rotations = torch.eye(3).repeat(1, 2, 16, 1, 1)
    rotations[:, :, 0] = turn
    translation = torch.tensor([[[-0.1, 0.0, 0.4], [0.1, 0.0, 0.4]]])
    vertices = layer(rotations, torch.zeros(1, 2, 10), translation, mesh=True).vertices[0]
    return vertices, layer.faces


def hard_mask(vertices, faces, matrix, size):
    """Pixel centres inside any projected face, by half planes over each face's own pixels."""
    corners = ((normalised(vertices, matrix, size) + 1) * size - 1)[faces] / 2  # (F, 3, 2) pixels
    mask = torch.zeros(size, size, dtype=torch.bool)
    for face in corners:
        (x0, y0), (x1, y1) = face.amin(0).ceil().int().tolist(), face.amax(0).floor().int().tolist()
        if x1 < x0 or y1 < y0:
            continue
        along, down = torch.arange(x0, x1 + 1), torch.arange(y0, y1 + 1)[:, None]
        sides = []
        for start in range(3):
            (ax, ay), (bx, by) = face[start].tolist(), face[(start + 1) % 3].tolist()
            sides.append((bx - ax) * (down - ay) - (by - ay) * (along - ax))
        side = torch.stack(sides)
        inside = (side >= 0).all(dim=0) | (side <= 0).all(dim=0)
        mask[y0 : y1 + 1, x0 : x1 + 1] |= inside
    return mask


def test_a_small_sigma_gives_the_hard_mask_of_a_hand(hands):
    vertices, faces = hands
    matrix = torch.tensor([[200.0, 0.0, 111.5], [0.0, 200.0, 111.5], [0.0, 0.0, 1.0]])
    soft = soft_silhouette(vertices, faces, matrix.expand(2, 3, 3), 224, sigma=1e-7)
    for side in range(2):
        hard = hard_mask(vertices[side], faces[side], matrix, 224)
        assert hard.sum() > 1500
        assert iou(soft[side], hard.float()) > 0.95


def test_the_gradient_moves_a_shifted_hand_back_to_the_target_mask(hands):
    vertices, faces = hands
    vertices, faces = vertices[1:], faces[1:]
    matrix = torch.tensor([[[60.0, 0.0, 31.5], [0.0, 60.0, 31.5], [0.0, 0.0, 1.0]]])
    soft = {'sigma': 3e-4, 'blur': 3e-3}
    target = soft_silhouette(vertices, faces, matrix, 64, **soft).detach()
    shift = torch.tensor([0.015, -0.01, 0.0], requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=1.5e-3)
    before = float(shift.detach()[:2].norm())
    for _ in range(30):
        optimiser.zero_grad()
        mask = soft_silhouette(vertices + shift, faces, matrix, 64, **soft)
        (mask - target).abs().mean().backward()
        optimiser.step()
    assert float(shift.detach()[:2].norm()) < 0.3 * before
    assert iou(soft_silhouette(vertices + shift, faces, matrix, 64, **soft), target) > 0.9


def test_meshes_behind_the_camera_or_outside_the_image_leave_no_trace():
    for shift in ((0.0, 0.0, -1.0), (5.0, 0.0, 0.0)):
        vertices = tetrahedron(shift).requires_grad_()
        mask = soft_silhouette(vertices, FACES, K.double(), SIZE)
        assert mask.max() == 0
        mask.sum().backward()
        assert torch.equal(vertices.grad, torch.zeros_like(vertices))


def test_a_face_that_touches_the_camera_is_left_out_and_stays_finite():
    vertices = tetrahedron()
    vertices[0, 3, 2] = NEAR / 2
    vertices.requires_grad_()
    mask = soft_silhouette(vertices, FACES, K.double(), SIZE)
    mask.sum().backward()
    assert mask.max() > 0.9
    assert torch.isfinite(vertices.grad).all()


def test_a_mesh_with_a_face_of_no_area_has_finite_gradients():
    vertices = tetrahedron()
    vertices[0, 1] = vertices[0, 0]
    vertices.requires_grad_()
    soft_silhouette(vertices, FACES, K.double(), SIZE).sum().backward()
    assert torch.isfinite(vertices.grad).all()
