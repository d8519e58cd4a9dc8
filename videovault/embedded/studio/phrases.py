"""The wordings that scripts are made of, kept short enough for a video of about twenty seconds."""

HOOKS = {
    "plain": (
        "{subject}. Here is why it deserves twenty seconds of your day.",
        "Stop scrolling for a moment, this one is worth it: {subject}.",
        "Let me tell you about something we really care about: {subject}.",
        "{subject}. You may have heard of it. Now hear why it matters.",
        "Here is something that deserves more attention: {subject}.",
    ),
    "question": (
        "{subject} Give me twenty seconds, and you will have an answer.",
        "{subject} We hear this all the time. Here is the short answer.",
        "Have you ever asked yourself this one? {subject}",
        "{subject} Good question. Let us clear it up.",
    ),
    "how_to": (
        "Want to {action}? Give me twenty seconds.",
        "{subject}: it is easier than most people think.",
        "Yes, you can {action}. Here is where to start.",
        "{subject}? Let me show you the short way.",
    ),
}

OPENINGS = {
    "both": ("I'm {speaker} from {company}. ", "I'm {speaker}, and this is what we do at {company}. "),
    "speaker": ("I'm {speaker}. ", "My name is {speaker}. "),
    "company": ("At {company}, we work on this every day. ", "We at {company} have learned a lot about it. "),
    "neither": ("",),
}

BODIES = {
    0: (
        "We left out the noise and kept what works: one clear idea, a first step you can take today, "
        "and a result you can see.",
        "The secret is to start small. Pick one thing, try it this week, and build on what works. "
        "No jargon, no fuss.",
        "Good results rarely come from doing more. They come from the right step at the right time, "
        "and someone who shows you how.",
        "It comes down to three things: know what you need, keep it simple, and ask before you guess.",
    ),
    1: (
        "If you remember one thing, make it this: {0}.",
        "It comes down to one point: {0}. Everything else follows from there.",
    ),
    2: (
        "Two things to remember. First: {0}. And second: {1}.",
        "Keep two things in mind. One: {0}. Two: {1}.",
    ),
    3: (
        "Three things to remember. First: {0}. Second: {1}. And third: {2}.",
        "Here it is in short. One: {0}. Two: {1}. Three: {2}.",
    ),
}

CONCLUSIONS = {
    "both": (
        "Curious? Follow {handles} and tell us what you think. {company} is happy to help.",
        "Try it today, and let us know how it goes. You will find {company} at {handles}.",
        "That is all for today. Follow {handles} for more from {company}.",
    ),
    "handles": (
        "Curious? Follow {handles} and tell us what you think.",
        "Try it today, and let us know how it goes: {handles}.",
        "That is all for today. Follow {handles}, and see you in the next one.",
    ),
    "company": (
        "Curious? Talk to {company}. We are happy to help.",
        "Try it today, and let us know how it goes. {company} is here when you need us.",
        "That is all for today. {company} says thank you for watching.",
    ),
    "neither": (
        "Try it today, and share this with someone who needs it.",
        "That is all for today. Thank you for watching, and see you in the next one.",
        "Now it is your turn. Start small, start today.",
    ),
}
