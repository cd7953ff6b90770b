"""Sight: whether blind pictures are refused, and clean ones are not."""
