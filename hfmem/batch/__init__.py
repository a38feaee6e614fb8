"""Many models: a list is read, each is estimated by whoever is free, and nothing that fails stops the rest."""
