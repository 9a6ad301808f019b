"""One module per verb, each joining rooms; modules are named -ing so that no verb is hidden."""
