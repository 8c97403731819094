"""POST /v1/chat/completions: OpenAI's chat API. Start at route.chat_completions."""
