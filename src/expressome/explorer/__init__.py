"""The explorer: a local web page and JSON API over an atlas."""
