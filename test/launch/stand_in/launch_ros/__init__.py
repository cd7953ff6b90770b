"""Records what a launch file says; see the README beside."""
