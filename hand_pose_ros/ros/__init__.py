"""The ROS 2 side: the only room that imports rclpy, messages and what belongs to them."""
