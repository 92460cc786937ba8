"""Rendered sessions for tests: a short two-view recording with its truth, made once a run."""

from dataclasses import replace
from pathlib import Path

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.resources import share_file
from hand_pose_ros.rig.description import load_rig

START = 1_700_000_000_000_000_000


def record(folder: Path, duration, cameras=None, **options):
    """Record some cameras of the simulated two-view rig; returns the bag."""
    rig = load_rig(share_file('config/simulated_two_view_rig.yaml'))
    options = {'offline': True, 'start': START, **options}
    chosen = {
        name: replace(camera, driver_options={**camera.driver_options, **options})
        for name, camera in rig.cameras.items()
        if cameras is None or name in cameras
    }
    streams = tuple(name for name in rig.synchronizer.streams if name in chosen)
    limits = replace(rig.synchronizer, streams=streams, reference=streams[0], required=())
    rig = replace(rig, cameras=chosen, synchronizer=limits)
    with BagWriter(folder) as writer:
        DirectRecording(rig=rig, writer=writer, duration=duration).run()
    return folder
