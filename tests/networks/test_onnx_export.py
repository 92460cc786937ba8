"""ONNX export: the graphs compute what the networks compute, and run in their place."""

import builtins
import json
from dataclasses import replace

import pytest
import torch

from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork, load_checkpoint, save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.networks.onnx_export import export_onnx, parts
from hand_pose_ros.networks.onnx_network import Graph, cache_folder, onnx_network
from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig, TherFormerStream
from hand_pose_ros.networks.wildhands import WildHands, WildHandsConfig

pytest.importorskip('onnx', reason='the extra onnx is not installed')
pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')

THERFORMER = replace(
    TherFormerConfig.small(), frames=4, backbone_width=8, width=16, mask_width=8,
    spatial_layers=1, spatial_hidden=16, down_channels=(8, 8, 8), features=32,
    temporal_layers=1, temporal_hidden=32, head_width=32,
)  # fmt: skip
WILDHANDS = replace(
    WildHandsConfig.small(), width=4, head_channels=(16, 16, 16), feature=16, hidden=16,
    camera_hidden=8,
)  # fmt: skip
DENSEREG = DenseRegConfig(
    stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8, weight_std=None,
    refiner=8, unseen=True,
)  # fmt: skip
NETWORKS = {
    'therformer': (TherFormer, THERFORMER),
    'wildhands': (WildHands, WILDHANDS),
    'densereg': (DenseReg, DENSEREG),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Every network as a checkpoint, and its graphs."""
    path = tmp_path_factory.mktemp('onnx')
    for name, (kind, config) in NETWORKS.items():
        torch.manual_seed(0)
        network = kind(config)
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.1 * torch.randn(tensor.shape))  # norms and biases say something
        save_checkpoint(path / f'{name}.safetensors', network, name, config, {})
    return path


@pytest.fixture(scope='module')
def both(folder):
    """Return (PyTorch network, onnxruntime network), each exported once."""
    made: dict[str, tuple[LoadedNetwork, object]] = {}

    def get(name):
        if name not in made:
            loaded = load_checkpoint(folder / f'{name}.safetensors')
            made[name] = loaded, onnx_network(loaded, folder / 'cache')
        return made[name]

    return get


def close(first, second) -> None:
    scale = max(1.0, float(first.abs().max()))
    torch.testing.assert_close(first / scale, second / scale, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_densereg_for_any_number_of_crops(both):
    loaded, network = both('densereg')
    for count in (1, 2, 3):
        crop = torch.rand(count, 2, 128, 128) * 1.4 - 1.0
        own, other = loaded.network(crop)[-1], network(crop)[-1]
        for name in ('heat_2d', 'heat_3d', 'direction', 'correction', 'log_error'):
            close(getattr(own, name), getattr(other, name))


@torch.inference_mode()
@pytest.mark.parametrize('mesh', [False, True])
def test_wildhands_with_and_without_a_mesh(both, mesh):
    loaded, network = both('wildhands')
    size = WILDHANDS.patch
    inputs = (
        torch.rand(1, 3, size, size), torch.rand(1, 2, 3, size, size),
        torch.tensor([[[100.0, 0, 55], [0, 101, 57], [0, 0, 1]]]),
        torch.tensor([[[-3.0, 10, 30, 43], [60, 20, 100, 60]]]),
    )  # fmt: skip
    own, other = loaded.network(*inputs, mesh=mesh), network(*inputs, mesh=mesh)
    for name in own._fields:
        if getattr(own, name) is not None and name != 'maps':
            close(getattr(own, name), getattr(other, name))
    assert (other.vertices is None) is not mesh
    close(own.maps.places, other.maps.places)
    close(own.maps.spread, other.maps.spread)


def test_therformer_as_a_stream(both):
    loaded, network = both('therformer')
    own, other = TherFormerStream(loaded.network), TherFormerStream(network)
    intrinsics = torch.tensor([[[280.0, 0, 161], [0, 281, 127], [0, 0, 1]]])
    for number in range(6):  # more than the window
        image = torch.rand(1, 3, 256, 320, generator=torch.Generator().manual_seed(number))
        first, second = own.push(image, intrinsics), other.push(image, intrinsics)
        for name in ('joints', 'pixels', 'depth', 'mask_logits'):
            close(getattr(first, name), getattr(second, name))


def test_graphs_are_exported_once_and_kept(both, folder):
    loaded, _ = both('densereg')
    [path] = (folder / 'cache').glob(f'{loaded.model_hash[:16]}_densereg_*.onnx')
    before = path.stat().st_mtime_ns
    onnx_network(loaded, folder / 'cache')
    assert path.stat().st_mtime_ns == before


def test_the_verb_writes_graphs_that_run_alone_and_the_card(folder, tmp_path, capsys):
    target, report = tmp_path / 'new' / 'hand.onnx', tmp_path / 'r.json'
    command = ['export', '--onnx', str(folder / 'densereg.safetensors'), str(target)]
    assert main([*command, '--json', str(report)]) == 0
    assert str(target) in capsys.readouterr().out
    assert json.loads(report.read_text())['files'] == [str(target)]
    card = json.loads(target.with_suffix('.json').read_text())
    assert card['network'] == 'densereg' and card['config']['channels'] == 8
    heat_2d, _, direction, correction, log_error = Graph(target)(torch.zeros(2, 2, 128, 128))
    assert heat_2d.shape == (2, 21, 32, 32) and direction.shape == (2, 63, 32, 32)
    assert correction.shape == (2, 21, 3) and log_error.shape == (2, 21)
    assert [path.name for path in sorted(target.parent.iterdir())] == ['hand.json', 'hand.onnx']


def test_therformer_has_two_parts(both, tmp_path):
    loaded, _ = both('therformer')
    assert [part.name for part in parts(loaded)] == ['encode', 'decode']
    files = export_onnx(loaded, tmp_path / 't.onnx')
    assert [file.name for file in files] == ['t_encode.onnx', 't_decode.onnx']


class TestBadInput:
    def test_another_ending(self, both, tmp_path):
        with pytest.raises(ModelError, match=r'must end in \.onnx'):
            export_onnx(both('densereg')[0], tmp_path / 'a.pt')

    def test_a_folder_that_is_a_file(self, both, tmp_path):
        (tmp_path / 'f').write_text('')
        with pytest.raises(ModelError, match='choose another folder'):
            export_onnx(both('densereg')[0], tmp_path / 'f' / 'a.onnx')

    def test_a_network_without_graphs(self, both):
        loaded = replace(both('densereg')[0], name='other')
        with pytest.raises(ModelError, match='other cannot be exported'):
            parts(loaded)

    def test_a_file_that_is_no_graph(self, tmp_path):
        (tmp_path / 'a.onnx').write_bytes(b'no graph')
        with pytest.raises(ModelError, match='cannot be loaded by onnxruntime'):
            Graph(tmp_path / 'a.onnx')

    @pytest.mark.parametrize('package', ['onnx', 'onnxruntime'])
    def test_without_the_extra_the_error_names_it(self, both, package, monkeypatch, tmp_path):
        real = builtins.__import__

        def without(name, *rest):
            if name == package:
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, '__import__', without)
        with pytest.raises(ModelError, match='install the extra onnx'):
            if package == 'onnx':
                export_onnx(both('densereg')[0], tmp_path / 'a.onnx')
            else:
                Graph(tmp_path / 'a.onnx')


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'hand_pose_ros' / 'onnx'
