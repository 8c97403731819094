# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""How people ask for the clock, the calculator and notes, in grammar.expand's notation. Start at PHRASINGS."""

from collections.abc import Mapping

from recipes.bundled.assistant.row import Split

Phrasings = Mapping[Split, tuple[str, ...]]
SUMS: Phrasings = {
    "train": (
        "[What is|How much is|What's] {sum}?",
        "[Calculate|Work out|Please calculate|Compute|Find] {sum}.",
        "{sum}",
        "[How much do I get for|What do you get for|What makes|What does it make:] {sum}?",
        "[The result of|I need|I want|Give me|Help me with] {sum}[|, please].",
        "[Can you calculate|Could you calculate|Do you know|Will you tell me|What is the result of] {sum}?",
    ),
    "held_out": ("Tell me what {sum} is.", "I need to know {sum}.", "Can you work out {sum}?"),
}
TIMES: Phrasings = {
    "train": (
        "What time is it?",
        "How late is it?",
        "Tell me the time.",
        "[The time, please.|I need the time.|Is it late?|What hour is it?|Give me the time.|Look at the clock.]",
        "[Can|Could] you [tell me the time|say how late it is|look at the clock]?",
        "Which time [is it|do we have]?",
    ),
    "held_out": ("What is the time now?", "Do you know the time?"),
}
DATES: Phrasings = {
    "train": (
        "What day is it?",
        "What is the date?",
        "Which day is today?",
        "[The date, please.|I need the date.|What day do we have?|Today is what day?|What is today?|Say the date.]",
        "[Can|Could] you [tell me the date|say what day it is|look up the date]?",
        "[Which date is it|Which date do we have|Do you know the date]?",
    ),
    "held_out": ("What is the date today?", "Tell me what day it is."),
}
WRITES: Phrasings = {
    "train": (
        "Write down: {note}.",
        "Please note: {note}.",
        "Make a note: {note}.",
        "Remember this: {note}.",
        "[New note|A note|Note|Put down|Write this down|Write this|Keep this in mind|To remember|For my notes|Add to my notes|Add a note|Please write|I want a note]: {note}.",
        "[Can|Could|Will] you [write down|make a note|write|remember|keep]: {note}?",
    ),
    "held_out": ("I need a note: {note}.", "Can you note this: {note}.", "Take a note: {note}."),
}
READS: Phrasings = {
    "train": (
        "What are my notes?",
        "Read my notes.",
        "Show me my notes.",
        "[List my notes.|My notes, please.|What did I write down?|What have I noted?|What is in my notes?|Give me my notes.|Let me see my notes.|What do my notes say?|Read the notes to me.]",
        "[Can|Could|Will] you [show|tell|read|give] me my notes?",
        "[Are there any notes|Do I have notes|Is there a note]?",
    ),
    "held_out": ("Which notes do I have?", "Please read me the notes."),
}
REMOVES: Phrasings = {
    "train": (
        "Remove note {number}.",
        "Delete note {number}, please.",
        "I do not need note {number} any more.",
        "[Take away|Drop|Cross out|Erase|Forget|Throw away|Clear|Strike] note {number}[|, please].",
        "Note {number} [is done|is finished|is not needed any more|should go away|is old]. [|Remove it.|Delete it.]",
        "[Can|Could] you [delete|remove|erase|drop] note {number}?",
        "I am done with note {number}.",
        "I want to remove note {number}.",
    ),
    "held_out": ("Note {number} can go.", "Please remove note {number} now."),
}
PHRASINGS = (SUMS, TIMES, DATES, WRITES, READS, REMOVES)
