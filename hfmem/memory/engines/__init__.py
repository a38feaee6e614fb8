"""Serving engines: how each rewrites the layers, splits the weights over its ranks, and shares out a card's memory."""
