"""Options of the estimators made of our own networks."""

from dataclasses import dataclass, field

from hand_pose_ros.estimators.one_euro import OneEuroConfig


@dataclass(frozen=True, kw_only=True)
class SideTrackingConfig:
    """How the tracks of a network's left and right hand begin, go on and end.

    Attributes:
        prediction: how long an unseen hand is predicted before it is lost, seconds.
        gap: a pause between frames that forgets all tracks, seconds.
        place_filter: one-euro filter of the mean of a hand's joints, metres.
        shape_filter: one-euro filter of the joints about their mean, metres.
    """

    prediction: float = 0.15
    gap: float = 1.0
    place_filter: OneEuroConfig = field(
        default_factory=lambda: OneEuroConfig(cutoff=1.5, slope=40.0)
    )
    shape_filter: OneEuroConfig = field(
        default_factory=lambda: OneEuroConfig(cutoff=2.0, slope=20.0)
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which trained model runs, and on what.

    Attributes:
        model: name of a trained model or path of a ``.safetensors`` file; empty for the one
            installed or shipped that fits the stream.
        stream: name of the stream it sees; empty for the first of the modality it was trained on.
        device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        runtime: ``torch``, ``onnx`` (onnxruntime on the CPU) or ``auto``: the faster one for this
            network on this device.
        confidence: least mean confidence of a hand.
    """

    model: str = ''
    stream: str = ''
    device: str = 'auto'
    runtime: str = 'auto'
    confidence: float = 0.5


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(ModelConfig):
    """Options of an estimator that is one network.

    Attributes:
        mesh: whether to report the mesh of each hand, where the network makes one.
        locators: what says where the hands are for a network that looks at crops, the best first;
            those that are not there are passed over. Left empty for TherFormer, which needs none.
        locator_model: trained model of TherFormer when it is one of the locators.
        tracking: see ``SideTrackingConfig``.
    """

    mesh: bool = True
    locators: tuple[str, ...] = ()
    locator_model: str = ''
    tracking: SideTrackingConfig = field(default_factory=SideTrackingConfig)
