"""The browser page: hand meshes, camera frusta, live images and the state of the hands."""

import contextlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.estimators.drawing import SIDE_COLOURS, Rgb
from hand_pose_ros.geometry.transforms import to_quaternion
from hand_pose_ros.rig.description import CameraDescription, RigDescription
from hand_pose_ros.skeleton import BONES, SIDES, Side

Array = NDArray[np.float64]

HOST = '127.0.0.1'
_FRUSTUM_SCALE = 0.06
_NO_BONES = np.zeros((0, 2, 3), dtype=np.float32)
_NO_IMAGE = np.full((30, 40, 3), 24, dtype=np.uint8)
_CAMERA_COLOUR = (120, 126, 138)


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewedHand:
    """One hand as the page shows it.

    Attributes:
        side: physical side.
        state: ``tracked``, ``predicted`` or ``lost``.
        score: 0..1.
        joints: (21, 3) metres in the rig frame, or None.
        vertices: (V, 3) metres in the rig frame, or None.
        sigma: largest standard deviation of a joint, metres, or None.
    """

    side: Side
    state: str
    score: float
    joints: Array | None = None
    vertices: Array | None = None
    sigma: float | None = None


@dataclass(frozen=True, kw_only=True)
class ViewedStatus:
    """What the text panel says beside the hands.

    Attributes:
        rate: results per second.
        latency: seconds from the stamp to the result's arrival.
        spread: seconds between the images of the set.
        streams: streams present in the set.
    """

    rate: float
    latency: float
    spread: float
    streams: tuple[str, ...]


class Viewer:
    """A web page on this machine that shows the rig and its hands; one page, many browsers."""

    def __init__(self, rig: RigDescription, *, port: int = 8080) -> None:
        """Serve the page on 127.0.0.1.

        Raises:
            CommandError: if the port is taken.
        """
        try:
            # The library announces itself on stdout, which is ours.
            with contextlib.redirect_stdout(io.StringIO()):
                self.server = viser.ViserServer(HOST, port, label='hand_pose_ros', verbose=False)
        except OSError as error:
            raise CommandError(
                f'port {port} on {HOST} cannot be opened ({error.strerror}): choose another --port.'
            ) from None
        if self.server.get_port() != port:
            self.server.stop()
            raise CommandError(f'port {port} on {HOST} is taken: choose another --port.')
        self.url = f'http://{HOST}:{port}'
        self._rig = rig
        self._faces: dict[Side, NDArray[np.uint32]] = {}
        self._meshes: dict[Side, Any] = {}
        self._bones: dict[Side, Any] = {}
        self._frusta: dict[str, Any] = {}
        self._images: dict[str, Any] = {}
        self._furnish()

    def _furnish(self) -> None:
        """Lay out the page: theme, start view, rig frame, frusta and panel."""
        server = self.server
        server.gui.configure_theme(
            dark_mode=True, show_logo=False, show_share_button=False, brand_color=(86, 180, 255)
        )
        server.gui.main_panel.dock_right()
        server.scene.set_up_direction('+z')
        server.initial_camera.position = (-0.16, 0.34, 0.20)
        server.initial_camera.look_at = (0.26, -0.02, -0.12)
        server.scene.configure_default_lights()
        server.scene.add_grid(
            '/grid', width=2.0, height=2.0, cell_size=0.1, position=(0.4, 0.0, -0.45),
            cell_color=(70, 74, 84), section_color=(96, 102, 114),
        )  # fmt: skip
        server.scene.add_frame(
            f'/{self._rig.rig_frame}', axes_length=0.05, axes_radius=0.0015, origin_radius=0.003
        )
        self._text = server.gui.add_markdown('waiting for the first set of images')
        for camera in self._rig.cameras.values():
            self._add_frustum(camera)
            # In the order of the rig, whichever image comes first.
            self._images[camera.name] = server.gui.add_image(
                _NO_IMAGE, label=camera.name, format='jpeg'
            )
        for side in SIDES:
            self._bones[side] = server.scene.add_line_segments(
                f'/hands/{side}_bones', points=_NO_BONES, colors=SIDE_COLOURS[side],
                thickness=0.003,
            )  # fmt: skip

    def _add_frustum(self, camera: CameraDescription) -> None:
        if camera.camera is None:
            return
        width, height = camera.size
        x, y, z, w = to_quaternion(camera.T_rig_cam)
        self._frusta[camera.name] = self.server.scene.add_camera_frustum(
            f'/cameras/{camera.name}',
            fov=2 * float(np.arctan2(height / 2, camera.camera.intrinsics[1, 1])),
            aspect=width / height,
            scale=_FRUSTUM_SCALE,
            thickness=0.0008,
            color=_CAMERA_COLOUR,
            wxyz=np.array([w, x, y, z]),
            position=camera.T_rig_cam[:3, 3],
            cast_shadow=False,
        )

    def set_topology(self, faces: dict[Side, NDArray[np.uint32]]) -> None:
        """Give the triangles (F, 3) of the two hand meshes."""
        self._faces = faces

    def show_image(self, camera: str, image: Rgb) -> None:
        """Show an (H, W, 3) RGB picture of a camera in its frustum and in the panel."""
        if camera in self._frusta:
            self._frusta[camera].image = image
        self._images[camera].image = image

    def show_hands(self, hands: Iterable[ViewedHand], status: ViewedStatus) -> None:
        """Show the hands of one set; a hand that is not among them disappears."""
        shown = {hand.side: hand for hand in hands if hand.state != 'lost'}
        with self.server.atomic():
            for side in SIDES:
                self._show_bones(side, shown.get(side))
                self._show_mesh(side, shown.get(side))
            self._text.content = panel_text(shown, status)

    def _show_bones(self, side: Side, hand: ViewedHand | None) -> None:
        points = _NO_BONES
        if hand is not None and hand.joints is not None:
            points = hand.joints[np.array(BONES)].astype(np.float32)
        self._bones[side].points = points

    def _show_mesh(self, side: Side, hand: ViewedHand | None) -> None:
        mesh, faces = self._meshes.get(side), self._faces.get(side)
        if hand is None or hand.vertices is None or faces is None:
            if mesh is not None:
                mesh.visible = False
            return
        vertices = hand.vertices.astype(np.float32)
        if mesh is None:
            self._meshes[side] = self.server.scene.add_mesh_simple(
                f'/hands/{side}_mesh', vertices, faces, color=SIDE_COLOURS[side], opacity=0.75,
                side='double',
            )  # fmt: skip
            return
        mesh.vertices = vertices
        mesh.visible = True

    def close(self) -> None:
        """Stop serving."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()


def panel_text(hands: dict[Side, ViewedHand], status: ViewedStatus) -> str:
    """The panel's text (Markdown): one row a side, then rate, latency and spread."""
    rows = ['| hand | state | score | sigma |', '| --- | --- | --- | --- |']
    for side in SIDES:
        hand = hands.get(side)
        if hand is None:
            rows.append(f'| {side} | not seen | | |')
            continue
        sigma = '' if hand.sigma is None else f'{1e3 * hand.sigma:.1f} mm'
        rows.append(f'| {side} | {hand.state} | {hand.score:.2f} | {sigma} |')
    figures = (
        f'{status.rate:.1f} poses/s, latency {1e3 * status.latency:.0f} ms, '
        f'spread {1e3 * status.spread:.1f} ms'
    )
    return '\n'.join(rows) + f'\n\n{figures}\n\nstreams: {", ".join(status.streams) or "none"}'
