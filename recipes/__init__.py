"""Complete runs as Python: what the project itself trained, and how. Outside the package on purpose."""
