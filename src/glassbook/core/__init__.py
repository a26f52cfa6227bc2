"""Sites, taps, seeds, devices, registry, errors: what every other room speaks."""
