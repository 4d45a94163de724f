"""Records that cross processes, each defined once: writer, reader and schema come from its type."""
