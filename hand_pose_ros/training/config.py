"""What a training run is: one YAML file, read into frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.precision import Precision
from hand_pose_ros.training.mapping import read_mapping, typed

Split = Literal['train', 'val', 'test']
PIXEL_LABELS: tuple[Literal['hand_mask', 'surface'], ...] = ('hand_mask', 'surface')


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Where clips come from.

    Attributes:
        data: ``simulated``, or the name of a data set of the catalogue.
        split: which part of it.
        weight: how often it is drawn from, relative to the other sources.
        setting: simulated: lighting and clothing preset.
        clips: simulated: how many clips there are; they are rendered once into the cache.
            0 renders new ones for ever, a step ahead of the training. Data set: at most so many,
            0 for all.
        first: simulated: number of the first clip.
        seed: simulated: with the clip's number it determines the clip.
        rectified: simulated: pinhole images; false keeps the lens.
        root: data set: the folder it lies in.
        mano: data set: folder of ``mano_left.npz`` and ``mano_right.npz``, for labels that are
            relative to MANO's mean pose.
        options: further options of the simulator or of the data set's reader.
    """

    data: str = 'simulated'
    split: Split = 'train'
    weight: float = 1.0
    setting: str = 'mixed'
    clips: int = 0
    first: int = 0
    seed: int = 0
    rectified: bool = True
    root: Path | None = None
    mano: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if self.weight <= 0 or self.clips < 0 or self.first < 0:
            raise ValueError('weight must be positive, clips and first at least 0')
        if self.data != 'simulated' and self.root is None:
            raise ValueError(f'the data set {self.data!r} needs its folder, add root')


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of training clips, one draw per clip.

    Attributes:
        shift: largest move of the view centre as a share of the image width, in x and y.
        brightness, contrast, saturation: factors are uniform in [1 - x, 1 + x].
        hue: shift is uniform in [-x, x] turns.

    Source: methods specification, section 1.5.
    """

    shift: float = 0.1
    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.15


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Training and validation data.

    Attributes:
        train: sources; each step draws one of them by weight.
        validation: one source, walked through in order.
        batch: clips per step over all processes.
        validation_batch: clips per forward pass of a validation.
        stream: the sensor the network reads.
        frames: frames per clip.
        image_size: width and height to which recorded images are brought; that of the simulator
            when None.
        workers: threads that prepare batches ahead; 0 prepares them in the training thread.
        ahead: how many batches they may be ahead.
        cache: folder of rendered clips.
        labels: labels of every pixel that simulated clips have; without those that no loss reads
            they take half the memory and the time.
    """

    train: tuple[SourceConfig, ...]
    validation: SourceConfig
    stream: Literal['thermal', 'rgb', 'nir', 'depth']
    batch: int = 16
    validation_batch: int = 8
    frames: int = 1
    image_size: tuple[int, int] | None = None
    workers: int = 1
    ahead: int = 2
    cache: Path = Path('~/.cache/hand_pose_ros/clips')
    labels: tuple[Literal['hand_mask', 'surface'], ...] = PIXEL_LABELS

    def __post_init__(self) -> None:
        """Refuse what gives no batches."""
        if not self.train:
            raise ValueError('train needs at least one source')
        if min(self.batch, self.validation_batch, self.frames) < 1 or self.workers < 0:
            raise ValueError('batch, validation_batch and frames must be at least 1')


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """How weights change.

    Attributes:
        name: ``adam`` (L2 decay in the gradient), ``adamw`` (decoupled decay of matrices only) or
            ``muon`` (orthogonal steps of matrices and kernels, AdamW for the rest).
        learning_rate: the highest rate.
        betas: decay of the two moments.
        weight_decay: per step.
        clip_norm: largest norm of the whole gradient, 0 for none.
        clip_value: largest value of one element of the gradient, 0 for none.
        accumulate: batches whose gradients are averaged before a step.
    """

    name: Literal['adam', 'adamw', 'muon'] = 'adamw'
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    clip_value: float = 0.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.learning_rate <= 0 or self.accumulate < 1:
            raise ValueError('learning_rate must be positive and accumulate at least 1')


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes.

    Attributes:
        name: ``constant``; ``exponential`` (x ``factor`` per ``every`` steps, smooth);
            ``step`` (x ``factor`` at every multiple of ``every`` steps); ``cosine`` (down to
            ``final``; with a warm-up this is the one-cycle schedule).
        warm_up: share of the run over which the rate rises linearly from nearly 0.
        factor: see above.
        every: steps, see above.
        final: last rate as a share of the highest.
    """

    name: Literal['constant', 'exponential', 'step', 'cosine'] = 'cosine'
    warm_up: float = 0.0
    factor: float = 0.95
    every: int = 1000
    final: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        if not 0.0 <= self.warm_up < 1.0 or self.every < 1 or self.factor <= 0:
            raise ValueError('warm_up must be in [0, 1), every at least 1 and factor positive')


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run.

    Attributes:
        task: the system to train.
        network: options of its configuration; ``size`` chooses the preset they change.
        options: of its loss and of how it sees its data (docs/training.md).
        data, augmentation, optimiser, schedule: see there.
        steps: optimiser steps of the run.
        seed: of initial weights, order, augmentation and dropout.
        precision: ``bfloat16`` runs the network in mixed precision; ``auto`` does so on GPUs and
            processors that are faster with it, and nowhere else.
        ema: decay of the moving average of the weights, 0 for none; validated and exported.
        validate_every, checkpoint_every, log_every: steps.
        freeze_norm: keep the batch statistics, for fine-tuning: of the backbones, or of the whole
            network where ``initialise_from`` is a checkpoint of this package.
        freeze: parts of the network by name that keep their weights and statistics; what comes
            before all that learns is then computed forward only.
        deterministic: choose deterministic GPU kernels; torch warns of operators without one
            (a CPU gives the same numbers every time in any case).
        channels_last: memory format of convolutions, faster on CPUs and on tensor cores.
        threads: CPU threads of this process, 0 for torch's choice.
        initialise_from: weights to start from: a checkpoint of this package, ``shipped`` for the
            one that comes with it, or a torchvision ResNet for the backbones.
        tensorboard: also write TensorBoard logs.
        half: export weights with 16 bits.
    """

    task: Literal['therformer', 'wildhands', 'densereg']
    data: DataConfig
    steps: int
    network: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    seed: int = 0
    precision: Precision = 'float32'
    ema: float = 0.0
    validate_every: int = 1000
    checkpoint_every: int = 500
    log_every: int = 20
    freeze_norm: bool = False
    freeze: tuple[str, ...] = ()
    deterministic: bool = False
    channels_last: bool = True
    threads: int = 0
    initialise_from: Path | None = None
    tensorboard: bool = True
    half: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if min(self.steps, self.validate_every, self.checkpoint_every, self.log_every) < 1:
            raise ValueError('steps and the intervals between records must be at least 1')
        if not 0.0 <= self.ema < 1.0:
            raise ValueError(f'ema must be in [0, 1), got {self.ema}')


def load_config(path: Path, root: Path | None = None) -> TrainingConfig:
    """Read a training configuration.

    Args:
        path: the file.
        root: folder of the recorded data, instead of those the file names.

    Raises:
        TrainingError: naming the file, the key and, for an unknown key, the nearest known one.
    """
    content = read_mapping(path)
    if root is not None:
        _set_root(content, root)
    if not isinstance(content, Mapping):
        raise TrainingError(f'{path}: must be a mapping of keys, see docs/training.md')
    return typed(TrainingConfig, content, str(path))


def _set_root(content: Any, root: Path) -> None:
    """Write a folder into every recorded source of a parsed configuration."""
    data = content.get('data') if isinstance(content, dict) else None
    if not isinstance(data, dict):
        return
    train = data.get('train')
    for source in (*(train if isinstance(train, list) else ()), data.get('validation')):
        if isinstance(source, dict) and source.get('data', 'simulated') != 'simulated':
            source['root'] = str(root)
