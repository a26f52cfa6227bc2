"""GPT-2 from scratch: the study of building and training a language model."""
