"""Make synthetic samples and measure what they are worth."""
