"""POST /v1/responses: OpenAI's stateful API; conversations are kept here. Start at route.responses."""
