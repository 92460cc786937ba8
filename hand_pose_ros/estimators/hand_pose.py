"""HandPose, under the name the estimators know it by; it lives where the simulation can reach it."""

from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose, State

__all__ = ['HandModelParameters', 'HandPose', 'State']
