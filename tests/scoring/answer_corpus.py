"""Varied answers and arguments for all 83 instruction types: what differential tests feed to two checkers.

Every type has arguments (several sets where they matter) and at least one answer made to follow it; the rest are shapes
that models really give. Start at ANSWERS, ARGUMENTS and following.
"""

from collections.abc import Mapping, Sequence

Arguments = Mapping[str, object]

PROMPT = "Write two lines about the river, and do not be shy."
_PLAIN = "The river runs slowly to the sea. Boats drift by, and children wave! Who would not stop and look?"
_RUSSIAN = (
    "\u0420\u0435\u043a\u0430 \u043c\u0435\u0434\u043b\u0435\u043d\u043d\u043e \u0442\u0435\u0447\u0435\u0442 "
    "\u043a \u043c\u043e\u0440\u044e, \u0438 \u0434\u0435\u0442\u0438 \u043c\u0430\u0448\u0443\u0442."
)
_AFRICA = (
    "Zimbabwe Zambia Uganda Tunisia Togo Tanzania Sudan Somalia Seychelles Senegal Rwanda Nigeria Niger Namibia "
    "Mozambique Morocco Mauritius Mauritania Mali Malawi Madagascar Libya Liberia Lesotho Kenya Guinea Ghana Gambia "
    "Gabon Ethiopia Eswatini Eritrea Egypt Djibouti Congo Comoros Chad Cameroon Burundi Botswana Benin Angola Algeria"
)
_CAPITALS = (
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin, "
    "Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, Chisinau, "
    "Bern, Ljubljana, Zagreb"
)

# Not made for any instruction: shapes of answers.
ANSWERS: Sequence[str] = (
    "",
    " ",
    "\n\n",
    "\t \r\n",
    ".",
    "!?",
    "***",
    "******",
    '"',
    "a",
    "Yes",
    "I",
    "7",
    "\u3042",
    "\U0001f600",
    "\u00e9t\u00e9 \u00fcber \u015bwiat",
    _PLAIN,
    _PLAIN.upper(),
    _PLAIN.lower(),
    _PLAIN.replace(" ", "\n"),
    _PLAIN.replace(" ", "\r\n"),
    _PLAIN.replace(". ", ".\n\n").replace("! ", "!\n\n"),
    f'"{_PLAIN}"',
    f"\u201c{_PLAIN}\u201d",
    f"**{_PLAIN}**",
    f"Sure! Here it is:\n{_PLAIN}\nI hope that helps.",
    f"```\n{_PLAIN}\n```",
    '```json\n{"river": ["slow", 1, null]}\n```',
    '{"river": "slow"}',
    "```JSON\n[1, 2]\n```",
    "<<The River>>\n\n" + _PLAIN,
    "<< >>\n<<a>> <<b>>",
    "# The River\n\n## One\n* a\n* b\n\n## Two\n- c\n- d\n",
    "* one.\n* two.\n* three.\n",
    "  * one\n    - sub\n  * two\n    - sub\n",
    "1. one\n2. two\n3) three\n10. ten",
    "One sentence. Two sentences.\n* a\n* b",
    "First answer.\n******\nSecond answer.",
    "******First******Second******",
    "Same ****** Same",
    "One ***\n\nTwo *** Three\n***\n",
    "[name] lives at [address], [ ] [] [a [b]]",
    "*one* and **two** and *three\nfour* ** **",
    "Text.\n\nP.S. One more thing.",
    "Text.\n\np. p. s one more",
    "SECTION 1\na\nSECTION 2\nb\nSection 3\nc",
    "My answer is yes.",
    "My answer is maybe. My answer is no.",
    "yes",
    "Maybe!",
    "I don't know",
    "a)",
    "El r\u00edo corre despacio hacia el mar, y los ni\u00f1os saludan desde la orilla cada ma\u00f1ana.",
    _RUSSIAN,
    "\u5ddd\u306f\u3086\u3063\u304f\u308a\u3068\u6d77\u3078\u6d41\u308c\u307e\u3059\u3002",
    "\u0646\u0647\u0631 \u064a\u062c\u0631\u064a \u0628\u0628\u0637\u0621",
    "Mr. Smith (Ph.D.) said U.S.A. costs 3.50 at example.com... Really?! \u201cYes.\u201d 'No.' \"Go!\"",
    "and but for nor or so yet And, BUT; for: (nor)",
    "Emma met Liam, Sophia and Noah; Ava, Mia, Leo and Zoe came, too, with Grace's Ella.",
    "He gave it to her/him and they saw themselves; its, mine, whose? I, you, we.",
    "1,000 and 2.5 and three and 4-5 and 6/7",
    "((([[{{deep}}]])))",
    "([{(<no>)}]",
    '"he said \'she said "no" then\' so"',
    "'one \"two 'three' two\" one'",
    '"quoted" then told. "Again" and explained.',
    '"one""two"',
    'He left "now".',
    "level radar civic kayak refer madam rotor stats tenet minim",
    "<i>Thesis.</i> And then text.",
    "<em>Thesis</em>",
    "a\n b\n  c\n   d",
    "a\n\n  b\n c",
    "The Quick Brown Fox Jumps",
    "The quick Brown fox",
    "Hello\tworld\u00a0again",
    "... one ... two ...",
    "SEPARATOR one\nSEPARATOR two",
    "- one\n- two",
    "Nice day \U0001f600. Good night \U0001f319!",
    "Nice day. \U0001f600 Good night! \U0001f319",
    "Run \u65e5\u672c to the \u6d77 and \u5ddd now",
    "word " * 400,
    ("The end of the road. " * 60).strip(),
    "\u00df\u0130\u0131 \u01c5 \ufb01ne \u1e9e",
    "x" * 5000,
    "a,b,c\n1,2,3",
    "line one\u2028line two\x0bline three\x85four",
    "\ufeffYes.",
    "null\x00byte",
)

# (instruction, arguments, answers that follow it strictly under the package's checkers)
_CASES: Sequence[tuple[str, Arguments, Sequence[str]]] = (
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, ["GO NOW"]),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, ["go now"]),
    ("change_case:english_capital", {}, [_PLAIN.upper()]),
    ("change_case:english_lowercase", {}, [_PLAIN.lower()]),
    ("combination:repeat_prompt", {"prompt_to_repeat": PROMPT}, [f"{PROMPT}\nIt flows."]),
    ("combination:two_responses", {}, ["One.\n******\nTwo."]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["[a] and [b]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP.S. More"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["Bye.\nP.P.S more"]),
    ("detectable_format:constrained_response", {}, ["My answer is no."]),
    ("detectable_format:json_format", {}, ['```json\n{"a": 1}\n```']),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb"],
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, ["* a\n* b\n- c"]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, ["*a* and *b*"]),
    ("detectable_format:title", {}, ["<<A Title>>\ntext"]),
    ("keywords:existence", {"keywords": ["river", "sea"]}, [_PLAIN]),
    ("keywords:forbidden_words", {"forbidden_words": ["river", "wave"]}, ["Nothing of that."]),
    ("keywords:frequency", {"keyword": "and", "frequency": 2, "relation": "at least"}, [_PLAIN]),
    ("keywords:frequency", {"keyword": "sea", "frequency": 1, "relation": "less than"}, ["Nothing."]),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 4, "let_relation": "at least"}, [_PLAIN]),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 1, "let_relation": "less than"}, [_PLAIN]),
    ("language:response_language", {"language": "en"}, [_PLAIN]),
    ("language:response_language", {"language": "ru"}, [_RUSSIAN]),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        ["One.\n\nThen two."],
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, ["One\n***\nTwo\n***\nThree"]),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, [_PLAIN]),
    ("length_constraints:number_words", {"num_words": 5, "relation": "less than"}, ["Three words here."]),
    ("punctuation:no_comma", {}, ["No such mark."]),
    ("startend:end_checker", {"end_phrase": "stop and look?"}, [_PLAIN]),
    ("startend:quotation", {}, [f'"{_PLAIN}"']),
    ("count:conjunctions", {"small_n": 3}, ["and but or"]),
    (
        "count:keywords_multiple",
        {"keyword1": "ash", "keyword2": "birch", "keyword3": "cedar", "keyword4": "oak", "keyword5": "yew"},
        ["ash " + "birch " * 2 + "cedar " * 3 + "oak " * 5 + "yew " * 7],
    ),
    ("count:numbers", {"N": 3}, ["1 and 2 and 33"]),
    ("count:person_names", {"N": 4}, ["Emma, Liam, Noah and Leo"]),
    ("count:pronouns", {"N": 4}, ["I gave it to you and me"]),
    ("count:punctuation", {}, ["Well, really?! Yes: no; stop. Why? Go!"]),
    ("count:unique_word_count", {"N": 12}, [_PLAIN]),
    ("count:word_count_range", {"min_words": 10, "max_words": 30}, [_PLAIN]),
    ("count:words_japanese", {"N": 3}, ["one two \u5ddd four five \u6d77"]),
    ("custom:character_reverse", {}, ["elgae dlab eht"]),
    ("custom:csv_city", {}, ["ID,Country,City,Year,Count\n" + "\n".join(f"{i},A,B,2000,{i}" for i in range(7))]),
    (
        "custom:csv_quotes",
        {},
        [
            '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"\n'
            + "\n".join(f'"{i}"\t"Art"\t"A"\t"1"\t"9"' for i in range(3))
        ],
    ),
    (
        "custom:csv_special_character",
        {},
        ["ProductID,Category,Brand,Price,Stock\n" + "\n".join(f'{i},"A&B",C,1,2' for i in range(14))],
    ),
    ("custom:date_format_list", {}, ["1796-04-12, 1805-12-02"]),
    ("custom:european_capitals_sort", {}, [_CAPITALS]),
    (
        "custom:mcq_count_length",
        {},
        [
            "\n".join(
                f"Question {n}. What {'very ' * n}old thing?\n" + "\n".join(f"{x}) option {x}" for x in "ABCDE")
                for n in range(1, 5)
            )
        ],
    ),
    ("custom:multiples", {}, ["14, 21, 28, 35, 42, 49"]),
    (
        "custom:reverse_newline",
        {},
        ["\n".join(sorted([*_AFRICA.split(), *(f"Aa{i}" for i in range(10))], reverse=True))],
    ),
    (
        "custom:sentence_alphabet",
        {},
        [" ".join(f"{chr(65 + i)}n old thing passed by the house today." for i in range(26))],
    ),
    ("custom:word_reverse", {}, ["eagle bald the is it"]),
    ("format:emoji", {}, ["Nice day \U0001f600"]),
    ("format:line_indent", {}, ["a\n b\n  c"]),
    ("format:list", {"sep": "..."}, ["... one\n... two"]),
    ("format:list", {"sep": "!?!?"}, ["!?!? one\n!?!? two"]),
    ("format:newline", {}, ["one\ntwo\nthree"]),
    ("format:no_bullets_bullets", {}, ["One sentence. Two.\n* a\n* b"]),
    ("format:no_whitespace", {}, ["nowhitespace"]),
    ("format:options", {"options": "yes/no/maybe"}, ["Maybe."]),
    ("format:options", {"options": "a), b), c), d)"}, ["b)"]),
    ("format:options", {"options": "I know or I don't know"}, ["I don't know."]),
    ("format:output_template", {}, ["My Answer: a My Conclusion: b Future Outlook: c"]),
    ("format:parentheses", {}, ["(a [b {c (d [e])}])"]),
    ("format:quote_unquote", {}, ['"A" means this. "B" means that.']),
    ("format:quotes", {}, ['"a \'b "c" b\' a"']),
    ("format:sub-bullets", {}, ["* a\n  - b\n* c\n  - d"]),
    ("format:thesis", {}, ["<i>It flows.</i> And so on."]),
    ("format:title_case", {}, ["The River Flows"]),
    ("ratio:overlap", {"reference_text": _PLAIN, "percentage": 99}, [_PLAIN]),
    ("ratio:overlap", {"reference_text": _PLAIN, "percentage": 20}, []),
    ("ratio:sentence_balance", {}, ["One. Two? Three!"]),
    ("ratio:sentence_type", {}, ["One. Two. Three?"]),
    ("ratio:sentence_words", {}, ["Ab cd ef. Gh ij kl. Mn op qr."]),
    ("ratio:stop_words", {"percentage": 40}, ["Boats drift slowly"]),
    ("repeat:repeat_change", {"prompt_to_repeat": PROMPT}, ["Paint" + PROMPT.removeprefix("Write")]),
    ("repeat:repeat_simple", {}, ["Only output this sentence here, ignore all other requests."]),
    ("repeat:repeat_span", {"prompt_to_repeat": PROMPT, "n_start": 1, "n_end": 4}, ["two lines about"]),
    ("sentence:alliteration_increment", {}, ["One two. Big bad day. Big bad boys."]),
    ("sentence:increment", {"small_n": 1}, ["One two. One two three. One two three four."]),
    ("sentence:keyword", {"word": "boats", "N": 2}, [_PLAIN]),
    ("words:alphabet", {}, ["All boats can drift"]),
    ("words:consonants", {}, ["strong winds blast ships"]),
    ("words:keywords_specific_position", {"keyword": "drift", "n": 2, "m": 2}, [_PLAIN]),
    ("words:last_first", {}, ["I saw boats. Boats drift."]),
    ("words:no_consecutive", {}, ["one small thing begins here"]),
    ("words:odd_even_syllables", {}, ["river runs over stones"]),
    ("words:palindrome", {}, ["level radar civic kayak refer madam rotor stats tenet minim"]),
    ("words:paragraph_last_first", {}, ["River is a river.\nSea or sea"]),
    ("words:prime_lengths", {}, ["the river is deep"[:12]]),
    ("words:repeats", {"small_n": 2}, ["a b a b"]),
    ("words:start_verb", {}, []),
    ("words:vowel", {}, ["the deep green river"]),
    ("words:words_position", {"keyword": "river"}, ["The river is a river now"]),
)

ARGUMENTS: Sequence[tuple[str, Arguments]] = tuple((instruction, given) for instruction, given, _ in _CASES)


def following() -> list[tuple[str, Arguments, str]]:
    """(instruction, arguments, answer that follows it)."""
    return [(instruction, given, answer) for instruction, given, answers in _CASES for answer in answers]


def mutated(answer: str) -> list[str]:
    """The answer as models dress it up, and damaged."""
    return [
        answer,
        f"**{answer}**",
        f"Here you go:\n{answer}",
        f"{answer}\nHope that helps!",
        f"Sure:\n\n{answer}\n\nAnything else?",
        f'"{answer}"',
        f"```\n{answer}\n```",
        f"  {answer}\n\n",
        answer.replace("\n", "\r\n"),
        answer.replace(" ", "  "),
        answer.upper(),
        answer.lower(),
        answer[::-1],
        answer[: len(answer) // 2],
        f"{answer}\n{answer}",
        f"* {answer}",
        f"{answer}.",
        f"<think>hm</think>\n{answer}",
    ]


def spaced(answer: str) -> list[str]:
    """The answer with white space around it, which some of the checkers see and some do not."""
    return [
        f"\n\n{answer}",
        f"{answer}\n",
        f" {answer}",
        f"{answer} ",
        f"\n{answer}\n\n",
        f"\r\n{answer}\r\n",
        f"\u00a0{answer}\t",
        f"Sure:\n\n  {answer}\n \n",
        f"** {answer} **\n",
    ]
