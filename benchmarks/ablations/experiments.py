"""The experiments: what is varied, what is measured, and what the papers found.

All variants of an experiment see the same clips in the same order for the same number of steps.
Sizes of networks are stated here, so that the shipped presets may change; but for the experiment
that goes on from shipped weights they are smaller still, and all four streams are rendered once, in
the office, so that three seeds of everything fit into ten minutes of a GPU. Single frames come from
many short clips, for frames of one clip teach little more than one of them. Intrinsics vary from
clip to clip: networks that need them are given them, and depth is predicted in units of the focal
length (``depth_offset: 0``), for an image does not tell the one without the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SETTINGS = ('office', 'darkness', 'sun_glare', 'gloves', 'kitchen')


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How clips are cut, for training and test alike.

    Attributes:
        frames: per clip.
        rate: images per second, lowest and highest.
        parts: collections of training clips; each is rendered by one process.
        part: clips of each.
        batch: clips per training step.
    """

    frames: int
    rate: tuple[float, float]
    parts: int
    part: int
    batch: int

    @property
    def options(self) -> dict[str, Any]:
        """Return the simulator's options."""
        return {'rate_range': list(self.rate)}


# Two images a second apart, or so.
_PAIRS = Cut(frames=2, rate=(0.5, 2.0), parts=4, part=1900, batch=48)
# Eight images, far enough apart to be different and near enough to help each other.
_FILMS = Cut(frames=8, rate=(4.0, 10.0), parts=1, part=1500, batch=8)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row: what it changes in the experiment's configuration.

    Attributes:
        name: in the table.
        changes: configuration keys, dots between levels, and their values.
        of: another variant whose network is measured instead of training an own one; with the
            experiment's name and a slash in front where it is another's.
        view: a way of reading that network, see ``measure.VIEWS``.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    of: str = ''
    view: str = ''


@dataclass(frozen=True, kw_only=True)
class Claim:
    """``worse`` has the larger error than ``better``.

    Attributes:
        worse, better: variants.
        metric: millimetres.
        setting: in which both are measured.
        better_setting: in which the better one is measured, where that is another.
    """

    worse: str
    better: str
    metric: str
    setting: str = 'office'
    better_setting: str = ''


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table: variants trained alike, measured in some settings, and what should come out.

    Attributes:
        title: for the report.
        source: section of the methods specification.
        note: how it was made to fit, for the report.
        config: the training configuration that all variants share.
        variants: the rows.
        metrics: the columns, millimetres.
        claims: what the papers found.
        cut: of the clips.
        settings: of the test split.
        clips: test clips per setting.
        options: of the simulator for the test clips.
    """

    title: str
    source: str
    note: str
    config: Mapping[str, Any]
    variants: tuple[Variant, ...]
    metrics: tuple[str, ...]
    claims: tuple[Claim, ...]
    cut: Cut = _PAIRS
    settings: tuple[str, ...] = ('office',)
    clips: int = 256
    options: Mapping[str, Any] = field(default_factory=dict)

    def variant(self, name: str) -> Variant:
        """Return a variant by name."""
        return next(one for one in self.variants if one.name == name)

    def data(self) -> dict[str, Any]:
        """Return the part of the configuration that says which clips are read."""
        cut = self.cut
        return {
            'frames': cut.frames, 'batch': cut.batch, 'validation_batch': max(1, 64 // cut.frames),
            'train': [
                {'data': 'simulated', 'setting': 'office', 'split': 'train', 'clips': cut.part,
                 'first': part * cut.part, 'options': cut.options}
                for part in range(cut.parts)
            ],
            # Nothing is chosen by the one validation at the end: it may use the test clips.
            'validation': self.test_source(self.settings[0]),
        }  # fmt: skip

    def test_source(self, setting: str) -> dict[str, Any]:
        """Return the configuration of a setting's test clips."""
        return {
            'data': 'simulated', 'setting': setting, 'split': 'test', 'clips': self.clips,
            'options': {**self.cut.options, **self.options},
        }  # fmt: skip


def _config(
    task: str, network: Mapping[str, Any], *, stream: str, steps: int, learning_rate: float,
    clip_norm: float = 10.0, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return a training configuration; its clips are filled in by the experiment."""
    return {
        'task': task,
        # The published preset, which stays as it is, and what differs from it.
        'network': {'size': 'base', **network},
        'steps': steps,
        # Streams that several experiments read are rendered once, so that all have this label.
        'data': {'stream': stream, 'labels': ['hand_mask'], 'workers': 1, 'ahead': 3},
        'optimiser': {'name': 'adamw', 'learning_rate': learning_rate, 'weight_decay': 0.01,
                      'clip_norm': clip_norm},
        'schedule': {'name': 'cosine', 'warm_up': 0.05},
        'ema': 0.99, 'log_every': 50, 'tensorboard': False,
        **more,
    }  # fmt: skip


_THERFORMER = {
    'frames': 1, 'depth_offset': 0.0, 'input_channels': 1, 'backbone_width': 16,
    'backbone_norm': 'group', 'width': 96, 'mask_width': 48, 'mask_guidance': True,
    'spatial_encoder': True, 'spatial_layers': 1, 'heads': 4, 'points': 4, 'spatial_hidden': 96,
    'down_channels': [128, 128, 128], 'pool': 'conv_flatten', 'joint_maps': 48, 'features': 256,
    'temporal_layers': 2, 'temporal_heads': 4, 'temporal_hidden': 512, 'head_width': 256,
}  # fmt: skip
_WILDHANDS = {
    'patch': 56, 'depth': 18, 'width': 32, 'stages': 2, 'global_reduction': 1,
    'head_channels': [192, 128, 128], 'head_norm': True, 'feature': 384, 'hidden': 384,
    'camera_hidden': 128, 'rounds': 3, 'dropout': 0.0, 'mirror_left': True, 'kpe': 'sparse',
    'pseudo_intrinsics': False, 'global_feature': False, 'crops': True, 'grasp_head': False,
    'joint_maps': 0,
}  # fmt: skip
_DENSEREG = {
    'joints': 21, 'stacks': 1, 'head': 'dense', 'stem_channels': 8, 'channels': 64,
    'branch_channels': 32, 'vote_channels': 64, 'narrow_branches': True, 'dropout': 0.0,
    'renorm': False, 'weight_std': None,
}  # fmt: skip

_SEE = _config('therformer', _THERFORMER, stream='thermal', steps=600, learning_rate=1e-3,
               augmentation={'brightness': 0.2, 'contrast': 0.2})  # fmt: skip

EXPERIMENTS: dict[str, Experiment] = {
    'sensors': Experiment(
        title='Sensor and setting (TherFormer)',
        source='1.12',
        note='Single frames. Trained in the office alone, measured everywhere.',
        config=_SEE,
        variants=(
            Variant(name='thermal'),
            Variant(name='rgb', changes={'data.stream': 'rgb', 'network.input_channels': 3}),
            Variant(name='nir', changes={'data.stream': 'nir'}),
            Variant(name='depth', changes={'data.stream': 'depth'}),
        ),
        metrics=('MEPE', 'MEPE-RA'),
        claims=(
            Claim(worse='rgb', better='thermal', metric='MEPE-RA', setting='darkness'),
            Claim(worse='nir', better='thermal', metric='MEPE-RA', setting='sun_glare'),
            Claim(worse='depth', better='thermal', metric='MEPE-RA', setting='sun_glare'),
            Claim(worse='rgb', better='thermal', metric='MEPE-RA', setting='gloves'),
            Claim(worse='rgb', better='rgb', metric='MEPE', setting='darkness',
                  better_setting='office'),
            Claim(worse='rgb', better='thermal', metric='MEPE', setting='darkness'),
            Claim(worse='nir', better='nir', metric='MEPE', setting='sun_glare',
                  better_setting='office'),
        ),
        settings=SETTINGS,
    ),
    'frames': Experiment(
        title='Frames per window (TherFormer)',
        source='1.12',
        note='All three go on, for the same number of steps, from the shipped network, whose '
        "images are read as before: only what follows a frame's vector learns, and the difference "
        'is what the other frames add. Networks that hardly know fingers yet gain little by them.',
        config={**_SEE, 'network': {'size': 'small'}, 'initialise_from': 'shipped', 'steps': 400,
                'freeze': ['backbone', 'lift', 'lift_coarse', 'mask_head', 'spatial', 'down',
                           'joint_maps'],
                'options': {'relative_weight': 500},
                'optimiser': {**_SEE['optimiser'], 'learning_rate': 3e-4}},
        variants=(
            Variant(name='T = 1', changes={'network.frames': 1}),
            Variant(name='T = 4', changes={'network.frames': 4}),
            Variant(name='T = 8', changes={'network.frames': 8}),
        ),
        metrics=('MEPE-RA', 'MEPE'),
        claims=(
            Claim(worse='T = 1', better='T = 4', metric='MEPE-RA'),
            Claim(worse='T = 1', better='T = 8', metric='MEPE-RA'),
        ),
        cut=_FILMS,
        clips=96,
    ),
    'mask_guidance': Experiment(
        title='Mask guidance and spatial encoder (TherFormer)',
        source='1.12',
        note='Single frames. Trained in the office alone; the kitchen, whose warm things hands do '
        'not have around them there, is the cluttered scene. The last row is the thermal one of '
        'the first experiment.',
        config=_SEE,
        variants=(
            Variant(name='no spatial encoder', changes={'network.spatial_encoder': False}),
            Variant(name='no mask guidance', changes={'network.mask_guidance': False}),
            Variant(name='mask-guided', of='sensors/thermal'),
        ),
        metrics=('MEPE', 'MEPE-RA'),
        claims=(
            Claim(worse='no mask guidance', better='mask-guided', metric='MEPE', setting='kitchen'),
            Claim(worse='no spatial encoder', better='mask-guided', metric='MEPE'),
        ),
        settings=('office', 'kitchen'),
    ),
    'kpe': Experiment(
        title='Encoding of the intrinsics (WildHands)',
        source='2.10 (3)',
        note='Crops alone, as the argument has it: what the whole image adds to a crop would also '
        'tell where the crop was. Every test clip has intrinsics of its own. The published dense '
        'encoding does not lie where the features do (2.11).',
        config=_config(
            'wildhands', _WILDHANDS, stream='rgb', steps=700, learning_rate=1.5e-3,
            options={'turn_probability': 0.0,
                     'loss': {'mask': 0.0, 'joints_3d': 1500.0, 'camera': 3.0, 'shape': 0.3}},
        ),
        variants=(
            Variant(name='none', changes={'network.kpe': 'none'}),
            Variant(name='dense, as published', changes={'network.kpe': 'legacy_dense'}),
            Variant(name='dense', changes={'network.kpe': 'dense'}),
            Variant(name='sparse', changes={'network.kpe': 'sparse'}),
        ),
        metrics=('MRRPE', 'MPJPE', 'PA-MPJPE'),
        claims=(
            Claim(worse='none', better='dense', metric='MRRPE'),
            Claim(worse='none', better='dense, as published', metric='MRRPE'),
            Claim(worse='dense, as published', better='sparse', metric='MRRPE'),
            Claim(worse='dense', better='sparse', metric='MRRPE'),
            Claim(worse='none', better='sparse', metric='MRRPE'),
        ),
        # Every clip has its own K, so that the image alone does not tell it.
        options={'vary_intrinsics': True},
    ),
    'dense': Experiment(
        title='Dense votes against direct regression (DenseReg)',
        source='3.9',
        note='One stack, where nothing else is said. Crops are turned by at most 23 degrees: '
        'turned all the way round, as published, networks learn ten times more slowly.',
        config=_config(
            'densereg', _DENSEREG, stream='depth', steps=900, learning_rate=2e-3,
            clip_norm=1.0, options={'crop': 'cube', 'reduction': 'mean', 'turn': 0.4},
        ),
        variants=(
            Variant(name='coordinates', changes={'network.head': 'coordinates'}),
            Variant(name='detection + depth', changes={'network.head': 'detection_depth'}),
            Variant(name='masked offset', changes={'network.head': 'masked_offset'}),
            Variant(name='dense'),
            Variant(name='dense, 2 stacks', changes={'network.stacks': 2}),
            Variant(name='dense, best pixel alone', of='dense', view='single'),
            Variant(name='dense, unweighted', of='dense', view='unweighted'),
            Variant(name='dense, sigma 80 mm', of='dense', view='wide'),
        ),
        metrics=('mean joint error',),
        claims=(
            Claim(worse='coordinates', better='dense', metric='mean joint error'),
            Claim(worse='detection + depth', better='dense', metric='mean joint error'),
            Claim(worse='masked offset', better='dense', metric='mean joint error'),
            Claim(worse='dense', better='dense, 2 stacks', metric='mean joint error'),
            Claim(worse='dense, best pixel alone', better='dense', metric='mean joint error'),
        ),
    ),
}  # fmt: skip
