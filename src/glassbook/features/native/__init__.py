"""The compiled selection: which pre-activations are chosen."""
