"""What the node says, as messages; with or without a ROS installation. May import decisions."""
