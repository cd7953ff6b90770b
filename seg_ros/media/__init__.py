"""Pictures in, pictures out: sources, videos, contact sheets. May import core and sim."""
