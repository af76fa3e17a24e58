"""Checks that an artifact is what its manifest claims, on this machine or on emulated hardware."""
