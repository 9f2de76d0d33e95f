"""Feeds: series that the service fetches by itself. One adapter per source and file, configured in a YAML file, not coded."""
