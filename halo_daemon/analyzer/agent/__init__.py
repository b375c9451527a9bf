"""The HALO agent: a model with trace tools, within a budget, whose claims are checked."""
