"""HTML pages: their elements, templates, style and script."""
