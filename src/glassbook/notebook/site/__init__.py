"""The site that a notebook becomes."""
