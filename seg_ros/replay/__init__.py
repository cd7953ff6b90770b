"""One recording in, one finished bag out; no graph, no clock. May import messages and media."""
