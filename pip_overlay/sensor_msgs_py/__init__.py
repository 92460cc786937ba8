"""Point clouds as numpy arrays, with the public API of ROS 2's package of the same name.

Written for machines without a ROS installation; holds what hand_pose_ros uses.
"""
