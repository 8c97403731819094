"""An HTTP server in front of one model: the OpenAI and Anthropic APIs, a web page, sessions on disk.

May know chat, generation, the tokenizer and the lm contract, never which engine runs. Start at app.build_app; a request
goes routes -> service.Service -> running.Running (its own thread) -> worker.BatchingLM (one thread for all).
"""
