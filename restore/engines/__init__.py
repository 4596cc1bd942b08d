"""Who runs segments. Every engine gives the same pixels."""
