"""What several toolsets share."""
