"""Texts that tokenizers get wrong: scripts, emoji, combining marks, code, line ends, control characters, markup."""

import random

HARD_TEXTS = (
    "THE BBC AND NASA's HTTP/2 API", " ABC\nDEF",
    "", "a", " ", "\n", "\r\n", "\r", "\t", "\xa0", "\u3000x", "Hello world", "  leading", "trailing  ", "a  b   c",
    "don't we'll I'VE 'S it's", "'s's 't'T 'll'LL", "camelCase HTMLParser snake_case getURLs A.B.C. U.S.A.",
    "1234567890 3.14 1e-9 x1y22z333 \u0663\u0664\u0665 \u2460\u2461\u2167 \xbd", "price: $12.50 (20% off!)",
    "https://example.com/a/b?c=d&e=f#g", "path/to/file.py\n/next//\r\n/", "...!!!???", "\u2014\u2013-",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0e01\u0e33", "\u4f60\u597d,\u4e16\u754c\u3002",
    "\u3053\u3093\u306b\u3061\u306f\u3001\u30ab\u30bf\u30ab\u30ca", "\uc548\ub155 \uc138\uacc4 \u1100\u1161\u11a8",
    "Vi\u1ec7t Nam", "na\xefve caf\xe9", "e\u0301 cafe\u0301 o\u0308\u0304 x\u0300\u0301\u0302y",
    "\u01c5 \u01c8 \xaa\xba \u02b0\u02b7", "\U0001f642",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 family \U0001f1eb\U0001f1f7", "\U0001f44d\U0001f3fd \u2764\ufe0f",
    "\u200b\u200d\u200c\ufeff x\ufeff", "\x00\x01\x02 \x7f\x1b[31m", "\x85 \u2028 \u2029", "word\xad word",
    "def f(x):\n    return x**2  # sq\n\n\n\tif x:\r\n\t\tpass\r\n", '{"a": [1, {"b": null}]}',
    "<b class='x'>&nbsp;</b>", "a\n\nb\n\n\nc", "   \n   \n x", "\r\n\r\n  \r\n", "\U0001d573\U0001d58a \U0001d7d9",
    "\U00010348 \U00013000", "<|im_start|>user\nHi<|im_end|>", "<s></s><unk>", "<think>x</think><tool_call>",
    "[INST] x [/INST]", "\U0010ffff \ufffd \ue000 \ufdd0", "a" * 300, " " * 300, "\n" * 99, "!" * 200, "ab" * 150,
    "\xe9" * 90, "\uff21\uff42 \uff11\uff12", "\ufb01 \xdf \u1e9e \u0130\u0131 i\u0307", "\U0001e900\U0001e922",
)  # fmt: skip

_BLOCKS = ((0, 0x20), (0x20, 0x7F), (0xA0, 0x370), (0x370, 0x780), (0x900, 0x1400), (0x1E00, 0x2700), (0x3000, 0x3200),
           (0x4E00, 0x5000), (0xAC00, 0xAD00), (0x10000, 0x10400), (0x1D400, 0x1D800), (0x1F300, 0x1FA00))  # fmt: skip


def random_texts(count: int, seed: int = 7) -> list[str]:
    """Short mixtures of ASCII, white space and everything else."""
    source = random.Random(seed)

    def letter() -> str:
        if source.random() < 0.15:
            return source.choice((" ", "\n", "\r\n", "  ", "\t", "/", "'s", "\u0301"))
        return chr(source.randrange(*source.choice((_BLOCKS[1], source.choice(_BLOCKS)))))

    return ["".join(letter() for _ in range(source.randint(1, 40))) for _ in range(count)]
