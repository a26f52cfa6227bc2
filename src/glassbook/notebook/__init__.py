"""The notebook: entries in Markdown, their import, and the site that is built from them. No torch."""
