"""Training of the shipped networks, on torch: never installed on the robot."""
