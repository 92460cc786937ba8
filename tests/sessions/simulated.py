"""Sessions of simulated hands, recorded as fast as they are rendered, with truth as labels."""

from dataclasses import replace

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.sessions.labels import labels_folder
from hand_pose_ros.sessions.session import Session
from tests.sessions.recorded import START


def record(repository, path, *, seed, cameras=('thermal', 'depth'), seconds=0.4):
    """Record some cameras of the simulated head rig; return the bag."""
    rig = load_rig(repository / 'config' / 'simulated_head_rig.yaml')
    options = {'offline': True, 'start': START, 'scenario': 'normal', 'seed': seed, 'drop': 0.0}
    chosen = {name: replace(rig.cameras[name], driver_options=options) for name in cameras}
    synchronizer = replace(rig.synchronizer, streams=cameras, reference=cameras[0])
    small = replace(rig, cameras=chosen, reference=cameras[0], synchronizer=synchronizer)
    with BagWriter(path) as writer:
        DirectRecording(rig=small, writer=writer, duration=seconds).run()
    with Session.open(path) as session:
        session.truth().save(labels_folder(path))
    return path
