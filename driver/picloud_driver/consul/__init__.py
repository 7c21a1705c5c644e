"""Consul: the one gateway to it, for every port that has an adapter on it."""
