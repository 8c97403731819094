"""POST /v1/messages: Anthropic's API. Start at route.messages."""
