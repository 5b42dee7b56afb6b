"""Results as text: compact, fenced, within the size limit."""
