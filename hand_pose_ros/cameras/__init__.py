"""Camera drivers without ROS: each yields stamped images of one stream."""
