"""POST /v1/completions: plain text (or ids) continued, without any template. Start at route.completions."""
