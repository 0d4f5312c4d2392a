"""A stand-in for the platform: nothing is generated, nothing is charged, nothing is sent."""
