"""bench.toml and sample.toml, and the devices that they describe."""
