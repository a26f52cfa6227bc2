"""Variational auto-encoders and variational sparse coding: what a code holds, and whether sparsity makes it readable."""
