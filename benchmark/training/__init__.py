"""Meta-training: settings, presets and the outer loop."""
