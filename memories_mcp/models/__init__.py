"""Models of arguments, of results and of the API's responses."""
