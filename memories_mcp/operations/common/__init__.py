"""Arguments, results and functions that several toolsets share."""
