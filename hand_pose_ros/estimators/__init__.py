"""Estimators: a RigFrame in, hand poses out; no ROS, no globals, no clock."""
