"""Activation addition: Turner et al. 2023 (2308.10248), measured sentence by sentence beside its controls."""
