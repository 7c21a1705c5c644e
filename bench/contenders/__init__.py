"""Contenders: the same few verbs over the project and over each peer, a file each."""
