"""VQA answers brought to one form before they are compared, as the official evaluation of VQA v2 does.

Its rules are kept with their oddities, since published scores depend on them (Antol et al., ICCV 2015; the evaluation
page of visualqa.org lists the steps).
"""

import re
from functools import lru_cache

__all__ = ["normalise_answer", "strip_answer"]

# The apostrophe and the colon are not among them: contractions and times of day keep theirs.
MARKS = ';/[]"{}()=+\\_-><@`,?!'
COMMA_IN_NUMBER = re.compile(r"\d,\d")
PERIOD = re.compile(r"\.(?!\d)")
PERIODS = 32  # the official scorer deletes no more of them in one answer
ARTICLES = frozenset(("a", "an", "the"))
NUMBER_WORDS = "zero one two three four five six seven eight nine ten"
NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(NUMBER_WORDS.split())}
CONTRACTED = """
    ain't aren't can't couldn't couldn't've could've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've shouldn't shouldn't've should've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've weren't we've what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't wouldn't
    wouldn't've would've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""
# A word that lacks exactly one of its apostrophes gets it back; one entry of the official table goes the other way.
CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in CONTRACTED.split()
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}


def strip_answer(text: str) -> str:
    r"""The answer on one line, without space around it.

    >>> strip_answer(" on\tthe table\n")
    'on the table'
    """
    return text.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=1 << 18)  # people answer the same few things
def normalise_answer(text: str) -> str:
    """The form in which answers are compared: no punctuation, articles or upper case, numbers in digits.

    >>> [normalise_answer(text) for text in ("The Dog.", "wont", "two, three", "3.5", "black/white", "1,000")]
    ['dog', "won't", '2 3', '3.5', 'black white', '1000']
    """
    words = _without_punctuation(strip_answer(text)).lower().split()
    numbered = [NUMBERS.get(word, word) for word in words]
    return " ".join(CONTRACTIONS.get(word, word) for word in numbered if word not in ARTICLES)


# ---------------------------------------------------------------------------------------------------------------------


def _without_punctuation(text: str) -> str:
    """A mark parts words; where the text has it next to a space, or a comma inside a number, it is deleted."""
    deletes_all = COMMA_IN_NUMBER.search(text) is not None
    cleaned = text
    for mark in MARKS:
        if mark in cleaned:
            deleted = deletes_all or f"{mark} " in text or f" {mark}" in text
            cleaned = cleaned.replace(mark, "" if deleted else " ")
    return PERIOD.sub("", cleaned, count=PERIODS)
