"""Bags: rosbag2 folders written from serialised messages and read back, without ROS."""
