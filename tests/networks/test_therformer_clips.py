"""TherFormer over time: padding, streaming, presence of hands, export."""

import dataclasses

import pytest
import torch
from torch import nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.therformer import (
    SPREAD,
    TherFormer,
    TherFormerOutput,
    TherFormerStream,
    hand_confidence,
    hands_present,
    joint_confidence,
)
from hand_pose_ros.networks.therformer_blocks import Agreement
from tests.networks.therformer_scene import cameras, images, tiny


@pytest.fixture(scope='module')
def network():
    return tiny()


def varied_cameras(count, seed=5):
    K = cameras(count)
    K[:, :2, 2] += 10 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return K


def test_valid_frames_do_not_depend_on_padded_ones(network):
    film, K = images(16), varied_cameras(16)
    keep = torch.ones(16)
    keep[6:8], keep[11:] = 0, 0
    other = torch.where(keep[:, None, None, None] > 0, film, images(16, seed=9))
    with torch.no_grad():
        first = network(film, K, frames=8, not_padding=keep)
        second = network(other, K, frames=8, not_padding=keep)
        unmasked = network(other, K, frames=8)
        plain = network(film, K, frames=8)
    real = keep > 0
    torch.testing.assert_close(first.joints[real], second.joints[real], atol=1e-6, rtol=0)
    assert not torch.allclose(unmasked.joints[real], plain.joints[real], atol=1e-5)


def test_a_padded_clip_equals_a_shorter_one(network):
    film, K = images(8), varied_cameras(8)
    keep = (torch.arange(8) < 3).float()
    with torch.no_grad():
        padded = network(film, K, frames=8, not_padding=keep)
        short = network(film[:3], K[:3], frames=3)
    torch.testing.assert_close(padded.joints[:3], short.joints, atol=1e-5, rtol=0)


def test_a_clip_of_padding_alone_stays_finite(network):
    with torch.no_grad():
        output = network(images(4), cameras(4), frames=4, not_padding=torch.zeros(4))
    assert output.joints.isfinite().all()


def test_clips_of_a_batch_do_not_mix_and_frames_of_a_clip_do(network):
    film, K = images(4), cameras(4)
    with torch.no_grad():
        both = network(film, K, frames=2)
        second = network(film[2:], K[2:], frames=2)
        singles = network(film, K, frames=1)
    torch.testing.assert_close(both.joints[2:], second.joints, atol=1e-5, rtol=0)
    assert not torch.allclose(both.joints, singles.joints, atol=1e-5)


def test_time_is_coded_in_queries_and_keys_but_never_in_values(network):
    encoder = network.temporal
    same = torch.randn(1, 1, 32).expand(1, 5, 32)
    with torch.no_grad():
        result = encoder(same, None)
    # Equal values: whatever the attention, its answer is the same at all times.
    torch.testing.assert_close(result, result[:, :1].expand_as(result), atol=1e-5, rtol=0)


@pytest.mark.parametrize('rows', [256, 240])
def test_a_stream_equals_the_clip_of_its_last_eight_frames(network, rows):
    film, K = images(11, rows), varied_cameras(11)
    stream = TherFormerStream(network)
    for newest in range(11):
        output = stream.push(film[newest : newest + 1], K[newest : newest + 1])
        window = slice(max(0, newest - 7), newest + 1)
        with torch.no_grad():
            clip = network(film[window], K[window], frames=len(film[window]))
        for name in ('joints', 'pixels', 'depth', 'mask_logits'):
            torch.testing.assert_close(
                getattr(output, name), getattr(clip, name)[-1:], atol=1e-5, rtol=1e-5
            )


def test_a_stream_encodes_each_image_once_and_forgets_on_reset(monkeypatch):
    network, film = tiny(), images(9)
    seen = []
    encode = network.encode
    monkeypatch.setattr(network, 'encode', lambda x: (seen.append(len(x)), encode(x))[1])
    stream = TherFormerStream(network)
    first = stream.push(film[:1], cameras(1))
    for number in range(1, 9):
        stream.push(film[number : number + 1], cameras(1))
    assert seen == [1] * 9
    stream.reset()
    assert torch.equal(stream.push(film[:1], cameras(1)).joints, first.joints)


def test_a_single_frame_network_streams_without_memory():
    network, film = tiny(frames=1), images(2)
    stream = TherFormerStream(network)
    stream.push(film[:1], cameras(1))
    second = stream.push(film[1:], cameras(1))
    with torch.no_grad():
        torch.testing.assert_close(
            second.joints, network(film[1:], cameras(1)).joints, atol=1e-6, rtol=0
        )


def test_a_stream_refuses_a_K_of_another_image_size(network):
    stream, K = TherFormerStream(network), cameras(1)
    with pytest.raises(ModelError, match='does not match an image of 256 x 320: scale it'):
        stream.push(images(1), 2 * K)
    with pytest.raises(ModelError, match='does not match'):
        stream.push(images(1), torch.full((1, 3, 3), torch.nan))
    with pytest.raises(ModelError, match='got 100 x 320'):
        stream.push(images(1)[:, :, :100], cameras(1) * torch.tensor([[1.0], [0.5], [1.0]]))


def painted(pixels, hand_columns=slice(5, 15)):
    """An output with a mask in some columns, and joints at given pixels of an image 320 x 256."""
    logits = torch.full((len(pixels), 1, 32, 40), -20.0)
    logits[..., hand_columns] = 20.0
    joints = torch.cat([pixels / 500, torch.full((*pixels.shape[:2], 1), 0.5)], dim=2)
    return TherFormerOutput(joints=joints, pixels=pixels, depth=joints[..., 2:], mask_logits=logits)


def test_confidence_is_the_mean_mask_probability_at_the_joints():
    pixels = torch.full((1, 42, 2), 100.0)
    pixels[:, 21:28, 0] = 300.0  # off the mask
    pixels[:, 28:35, 1] = -20.0  # outside the image
    output = painted(pixels)
    found = joint_confidence(output, (256, 320))
    assert found.shape == (1, 2, 21)
    torch.testing.assert_close(found[0, 0], torch.ones(21))
    assert found[0, 1, :14].abs().max() < 1e-6
    torch.testing.assert_close(
        hand_confidence(output, (256, 320)), torch.tensor([[1.0, 1 / 3]]), atol=1e-6, rtol=0
    )


def test_confidence_is_interpolated_between_the_centres_of_cells():
    pixels = torch.full((1, 42, 2), 100.0)
    # The centres of the cells 14 (hand) and 15 (none) are at 115.5 and 123.5 px.
    pixels[0, :5, 0] = torch.tensor([115.5, 117.5, 119.5, 121.5, 123.5])
    found = joint_confidence(painted(pixels), (256, 320))[0, 0, :5]
    assert found.tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-4)
    # The outermost half cell belongs to the image.
    pixels[0, :2, 0] = torch.tensor([0.0, -0.6])
    found = joint_confidence(painted(pixels, slice(0, 2)), (256, 320))[0, 0, :2]
    assert found.tolist() == pytest.approx([1, 0])


def test_a_hand_whose_maps_say_many_places_is_hardly_believed():
    output = painted(torch.full((1, 42, 2), 100.0))
    spread = torch.full((1, 42), SPREAD)  # as half of the well-seen hands have
    spread[0, 21:] = 60.0
    doubted = dataclasses.replace(output, spread=spread)
    left, right = hand_confidence(doubted, (256, 320))[0].tolist()
    assert right < 0.1 and left > 0.9
    assert hand_confidence(output, (256, 320)).tolist() == [[1.0, 1.0]]
    # A single joint that may be in two places does not make a hand doubtful.
    spread[0, 0] = 80.0
    assert float(hand_confidence(doubted, (256, 320))[0, 0]) > 0.9


def test_the_stream_says_how_unsure_the_maps_are(network):
    film = images(3)
    with torch.no_grad():
        clip = network(film, cameras(3), frames=3)
    stream = TherFormerStream(network)
    for number in range(3):
        newest = stream.push(film[number : number + 1], cameras(1))
        torch.testing.assert_close(newest.spread[0], clip.spread[number], atol=1e-3, rtol=1e-4)
    published = TherFormer(dataclasses.replace(network.config, joint_maps=0)).eval()
    assert TherFormerStream(published).push(film[:1], cameras(1)).spread is None


def test_a_hand_off_the_mask_or_on_top_of_the_other_is_absent():
    pixels = torch.full((3, 42, 2), 60.0)
    pixels[0, 21:, 0] = 100.0  # both on the mask, 80 mm apart
    pixels[1, 21:, 0] = 300.0  # the right one off the mask
    pixels[2, 21:, 0] = 62.0  # on the same spot
    pixels[2, 0, 0] = 200.0  # where the left one is less certain
    present = hands_present(painted(pixels), (256, 320))
    assert present.tolist() == [[True, True], [True, False], [False, True]]
    for logit in (-9.0, 2.0):  # no hand anywhere, and nowhere certain enough of one
        silent = dataclasses.replace(painted(pixels), mask_logits=torch.full((3, 1, 32, 40), logit))
        assert not hands_present(silent, (256, 320)).any()


class TestAgreement:
    AGREE = Agreement(8)
    SHARP = torch.full((1, 8, 42), 10.0)

    def answers(self, seed=3):
        return torch.randn(1, 8, 42, 3, generator=torch.Generator().manual_seed(seed))

    def agreed(self, answers, spread=SHARP, seen=None):
        with torch.no_grad():
            return self.AGREE(answers, spread, seen)

    def test_a_single_frame_keeps_its_answer_and_a_still_hand_its_own(self):
        one = self.answers()[:, :1]
        torch.testing.assert_close(self.agreed(one, self.SHARP[:, :1]), one)
        still = one.expand(1, 8, 42, 3)
        blurred = self.SHARP * torch.linspace(1, 3, 8)[:, None]
        torch.testing.assert_close(self.agreed(still, blurred), still)

    def test_frames_that_err_apart_err_less_together(self):
        true = self.answers()[:, :1].expand(1, 8, 42, 3)
        seen = true + 0.1 * self.answers(seed=4)
        assert (self.agreed(seen) - true).abs().mean() < 0.75 * (seen - true).abs().mean()

    def test_near_frames_count_more_and_blurred_ones_less(self):
        def share(number, spread=self.SHARP):
            """How much farther away the hand in the fifth frame is when another one's is."""
            moved = torch.zeros(1, 8, 42, 3)
            moved[:, number, :21, 2] = 1.0
            return float(self.agreed(moved, spread)[0, 4, 0, 2])

        assert share(4) > share(3) > share(2) > share(0) > 0.0
        assert share(3) == pytest.approx(share(5))
        blurred = self.SHARP.clone()
        blurred[:, 4, :21] *= 1.5
        assert share(4, blurred) < share(4) and share(3, blurred) > share(3)
        blurred[:, 3, :21] *= 1.5
        assert share(3, blurred) < share(5, blurred)

    def test_a_hand_stays_where_its_own_frame_sees_it_in_the_image(self):
        answers = self.answers()
        agreed = self.agreed(answers)
        for hand in (slice(0, 21), slice(21, 42)):
            torch.testing.assert_close(
                agreed[:, :, hand, :2].mean(dim=2), answers[:, :, hand, :2].mean(dim=2)
            )
            assert not torch.allclose(agreed[:, :, hand], answers[:, :, hand], atol=0.05)

    def test_hands_and_unseen_frames_do_not_mix(self):
        answers, other = self.answers(), self.answers(seed=4)
        other[:, :, :21] = answers[:, :, :21]
        torch.testing.assert_close(self.agreed(answers)[:, :, :21], self.agreed(other)[:, :, :21])
        seen = torch.arange(8)[None] < 3
        short = self.agreed(answers[:, :3], self.SHARP[:, :3])
        torch.testing.assert_close(self.agreed(answers, seen=seen)[:, :3], short)

    def test_it_learns_and_is_left_out_without_maps(self):
        network = tiny()
        network(images(4), cameras(4), frames=4).joints.square().sum().backward()
        assert float(network.agreement.doubts.grad.abs().min()) > 0
        assert tiny(joint_maps=0).agreement is None


class _Encode(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network.encode(image)


class _Decode(_Encode):
    def forward(self, features, intrinsics, not_padding):
        return self.network.decode(features, intrinsics, not_padding)


def test_encode_and_decode_export_without_branches_on_data(network):
    film, K = images(8), varied_cameras(8)
    with torch.no_grad():
        features, mask = network.encode(film)
        encode = torch.export.export(_Encode(network), (film[:1],)).module()
        for number in (0, 5):
            own, own_mask = encode(film[number : number + 1])
            torch.testing.assert_close(own, features[number : number + 1], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(own_mask, mask[number : number + 1], atol=1e-4, rtol=1e-4)
        keep = (torch.arange(8) < 6).float()
        decode = torch.export.export(_Decode(network), (features[None], K, torch.ones(8))).module()
        expected = network.decode(features[None], K, keep)
        for own, true in zip(decode(features[None], K, keep), expected, strict=True):
            torch.testing.assert_close(own, true, atol=1e-5, rtol=1e-5)
