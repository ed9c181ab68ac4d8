"""Worker processes that read networks and can be killed if they hang or crash."""
