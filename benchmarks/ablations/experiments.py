"""The experiments: what is varied, what is measured, and what the papers found.

Networks are a reduced form of the shipped `small` ones, so that every row can be trained for
three seeds on two CPU cores. All variants of an experiment see the same clips in the same order
for the same number of steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SETTINGS = ('office', 'darkness', 'sun_glare', 'gloves', 'kitchen')


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row: what it changes in the experiment's configuration.

    Attributes:
        name: in the table.
        changes: configuration keys, dots between levels, and their values.
        view: names a way of looking at another variant's network instead of training an own one,
            see ``measures.py``.
        of: name of that other variant.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    view: str = ''
    of: str = ''


@dataclass(frozen=True, kw_only=True)
class Claim:
    """``worse`` has the larger error than ``better`` in one setting."""

    worse: str
    better: str
    metric: str
    setting: str = 'office'


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table: variants trained alike, measured in some settings, and what should come out.

    Attributes:
        title: for the report.
        source: section of the methods specification.
        config: the training configuration that all variants share.
        variants: the rows.
        metrics: the columns, millimetres.
        claims: what the papers found.
        settings: of the test split.
        clips: test clips per setting.
        options: of the simulator for the test clips.
    """

    title: str
    source: str
    config: Mapping[str, Any]
    variants: tuple[Variant, ...]
    metrics: tuple[str, ...]
    claims: tuple[Claim, ...]
    settings: tuple[str, ...] = ('office',)
    clips: int = 128
    options: Mapping[str, Any] = field(default_factory=dict)


def _config(
    task: str, network: Mapping[str, Any], *, stream: str, steps: int, batch: int, clips: int,
    frames: int = 1, setting: str = 'mixed', **more: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        'task': task,
        'network': {'size': 'small', **network},
        'steps': steps,
        'data': {
            'stream': stream, 'frames': frames, 'batch': batch, 'validation_batch': batch,
            'train': [{'data': 'simulated', 'setting': setting, 'split': 'train', 'clips': clips}],
            'validation': {'data': 'simulated', 'setting': 'office', 'split': 'val', 'clips': 32},
        },
        'optimiser': {'name': 'adamw', 'learning_rate': 1.5e-3, 'weight_decay': 0.01,
                      'clip_norm': 10.0},
        'schedule': {'name': 'cosine', 'warm_up': 0.05},
        'ema': 0.995,
        'validate_every': steps, 'checkpoint_every': steps, 'tensorboard': False,
        **more,
    }  # fmt: skip


EXPERIMENTS: dict[str, Experiment] = {
    'kpe': Experiment(
        title='Encoding of the intrinsics (WildHands)',
        source='2.10 (3)',
        config=_config(
            'wildhands', {}, stream='rgb', steps=1500, batch=24, clips=9000,
            options={'loss': {'mask': 0.0, 'joints_3d': 1500.0, 'camera': 3.0, 'shape': 0.3}},
        ),
        variants=(
            Variant(name='none', changes={'network.kpe': 'none'}),
            Variant(name='dense', changes={'network.kpe': 'dense'}),
            Variant(name='sparse', changes={'network.kpe': 'sparse'}),
        ),
        metrics=('MRRPE', 'MPJPE', 'PA-MPJPE'),
        claims=(
            Claim(worse='none', better='dense', metric='MRRPE'),
            Claim(worse='dense', better='sparse', metric='MRRPE'),
            Claim(worse='none', better='sparse', metric='MRRPE'),
        ),
        # Every clip has its own K, so that the image alone does not tell it.
        options={'vary_intrinsics': True},
    ),
    'mask_guidance': Experiment(
        title='Mask guidance and spatial encoder (TherFormer)',
        source='1.12',
        config=_config('therformer', {'frames': 1}, stream='thermal', steps=2500, batch=16,
                       clips=9000),
        variants=(
            Variant(name='no spatial encoder', changes={'network.spatial_encoder': False}),
            Variant(name='no mask guidance', changes={'network.mask_guidance': False}),
            Variant(name='mask-guided'),
        ),
        metrics=('MEPE', 'MEPE-RA'),
        claims=(
            Claim(worse='no mask guidance', better='mask-guided', metric='MEPE', setting='kitchen'),
            Claim(worse='no spatial encoder', better='mask-guided', metric='MEPE'),
        ),
        settings=('office', 'kitchen'),
    ),
    'frames': Experiment(
        title='Frames per window (TherFormer)',
        source='1.12',
        config=_config('therformer', {}, stream='thermal', steps=2500, batch=3, clips=3000,
                       frames=8),
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
    ),
    'dense': Experiment(
        title='Dense votes against direct regression (DenseReg)',
        source='3.9',
        config=_config('densereg', {'channels': 32, 'branch_channels': 32, 'vote_channels': 64},
                       stream='depth', steps=1500, batch=12, clips=8000,
                       options={'crop': 'cube', 'reduction': 'mean'}),
        variants=(
            Variant(name='coordinates', changes={'network.head': 'coordinates'}),
            Variant(name='detection + depth', changes={'network.head': 'detection_depth'}),
            Variant(name='masked offset', changes={'network.head': 'masked_offset'}),
            Variant(name='dense, 1 stack', changes={'network.stacks': 1}),
            Variant(name='dense'),
            Variant(name='dense, best pixel alone', of='dense', view='single'),
            Variant(name='dense, unweighted', of='dense', view='unweighted'),
            Variant(name='dense, sigma 80 mm', of='dense', view='wide'),
        ),
        metrics=('mean joint error',),
        claims=(
            Claim(worse='coordinates', better='dense', metric='mean joint error'),
            Claim(worse='detection + depth', better='dense', metric='mean joint error'),
            Claim(worse='masked offset', better='dense', metric='mean joint error'),
            Claim(worse='dense, 1 stack', better='dense', metric='mean joint error'),
            Claim(worse='dense, best pixel alone', better='dense', metric='mean joint error'),
        ),
    ),
    'sensors': Experiment(
        title='Sensor and setting (TherFormer trained in the office alone)',
        source='1.12',
        config=_config('therformer', {'frames': 1}, stream='thermal', steps=2000, batch=16,
                       clips=6000, setting='office'),
        variants=(
            Variant(name='rgb', changes={'data.stream': 'rgb', 'network.image_size': [240, 320],
                                         'network.input_channels': 3}),
            Variant(name='nir', changes={'data.stream': 'nir', 'network.image_size': [240, 320]}),
            Variant(name='depth', changes={'data.stream': 'depth',
                                           'network.image_size': [240, 320]}),
            Variant(name='thermal'),
        ),
        metrics=('MEPE', 'MEPE-RA'),
        claims=(
            Claim(worse='rgb', better='thermal', metric='MEPE-RA', setting='darkness'),
            Claim(worse='nir', better='thermal', metric='MEPE-RA', setting='sun_glare'),
            Claim(worse='depth', better='thermal', metric='MEPE-RA', setting='sun_glare'),
            Claim(worse='rgb', better='thermal', metric='MEPE-RA', setting='gloves'),
        ),
        settings=SETTINGS,
        clips=96,
    ),
}  # fmt: skip
