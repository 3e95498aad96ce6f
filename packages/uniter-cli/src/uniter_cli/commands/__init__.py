"""One file a sub-command; each only composes, and imports what is heavy when it runs."""
