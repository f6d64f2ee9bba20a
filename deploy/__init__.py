"""Replaces a running release by another one without dropping a request, and goes back to the one before."""
