"""A reply names exactly one class, or it is no answer; a corpus of replies holds which."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bench.bench_replies import NO_ANSWER, SETS, corpus
from extract.replies import ClassNames, left_open, lists_letters, read_reply
from extract.replies.mentions import alike
from extract.replies.parsing import parse_reply

LESIONS = [
    ClassNames("benign", "benign"),
    ClassNames("malignant", "malignant"),
    ClassNames("normal", "normal"),
]
LUNGS = [
    ClassNames("0", "no pneumonia"),
    ClassNames("1", "pneumonia"),
    ClassNames("2", "pneumonia with effusion"),
]
FILLER = st.text(alphabet="xyz .,;:!\n\t-_", max_size=20)
PAUSES = st.text(alphabet="xyz ,;\t-_", max_size=20)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("benign", 0),
        ("BENIGN.", 0),
        ("The lesion is malignant!", 1),
        ("It looks normal, yes, normal.", 2),
        ("benign or malignant", None),
        ("beni gn", None),
        ("abnormal", None),
        ("", None),
        ("…", None),
        ("<think>It could be malignant.</think><answer>benign</answer>", 0),
        ("<think>malignant?</think> normal", 2),
        ("No — it's benign.", 0),
        ("No: this looks malignant", 1),
        ("No: benign", None),
        ("No – malignant.", None),
        ("I think malignant. Hmm, no, benign.", 0),
        ("malignant... no, benign", 0),
        ("malignant; no, benign", 0),
        ("<think>benign, because", None),
        ("<answer>malignant", 1),
        ("not definitely benign", None),
        ("malignant: not definite", None),
        ("not clearly malignant", None),
        ("cannot exclude malignancy", None),
        ("likely benign but malignancy cannot be excluded", 0),
        ("probably benign", 0),
        ("suspicious for malignancy", 1),
        ("benign with malignant potential", 0),
        ("uncertain malignant potential", None),
        ("Correlate clinically for malignancy.", None),
        ("BI-RADS 4", None),
    ],
)
def test_a_reply_is_read_by_the_documented_rules(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LESIONS) == expected


MARKED = [
    ClassNames("0", "肺炎 <b>重</b>"),
    ClassNames("1", "سليم <b>طبيعي</b>"),
    ClassNames("2", 'it\'s "odd" & 100%'),
]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("肺炎 <b>重</b>", 0),
        (" سليم <b>طبيعي</b>\n", 1),
        ('It\'s "odd" & 100%', 2),
        ("肺炎 <b>重</b> سليم <b>طبيعي</b>", None),
    ],
)
def test_a_name_that_holds_marks_is_read_word_for_word(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, MARKED) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Ring forms consistent with P. falciparum.", 0),
        ("This is P. vivax, not P. falciparum.", 1),
        ("P.vivax", 1),
        ("P. ovale", None),
        ("p. vivax", None),
        ("E. vivax", None),
        ("P. effusion", None),
    ],
)
def test_a_species_is_named_by_its_letter_too(reply: str, expected: int | None) -> None:
    """Only where no other class would be cut to the same."""
    classes = ["Plasmodium falciparum", "Plasmodium vivax", "Pleural effusion", "Pelvic effusion"]
    assert parse_reply(reply, [ClassNames(name, name) for name in classes]) == expected


def test_a_letter_that_may_be_an_option_s_is_no_species() -> None:
    """ "B. pneumonia" may be the second option: which class was meant is not known."""
    classes = [ClassNames(name, name) for name in ("Bacterial pneumonia", "Viral pneumonia")]
    assert parse_reply("B. pneumonia", classes) is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("no pneumonia", 0),
        ("There is pneumonia.", 1),
        ("pneumonia with effusion", 2),
        ("No_pneumonia", 0),
        ("pneumonia, no pneumonia", None),
        ("1", 1),
    ],
)
def test_the_longer_of_two_overlapping_names_counts(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LUNGS) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B", 1),
        ("(c)", 2),
        ("B.", 1),
        ("The answer is (A)", 0),
        ("Option C", 2),
        ("A or B", None),
        ("(A) or (B)", None),
        ("D", None),
        ("a mass", None),
        ("malignant (A)", None),
    ],
)
def test_letters_count_where_the_question_lists_them(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LESIONS, letters=True) == expected


def test_letters_mean_nothing_where_the_question_does_not_list_them() -> None:
    assert parse_reply("B", LESIONS) is None
    phrases = [names.phrase for names in LESIONS]
    assert lists_letters("Which? A. benign B. malignant C. normal", phrases)
    assert lists_letters("Which? (A) benign (B) malignant (C) normal", phrases)
    assert not lists_letters("Which? benign, malignant, normal", phrases)
    assert not lists_letters("A. benign B. malignant", phrases)
    assert not lists_letters("anything", [])


@given(before=FILLER, after=FILLER, index=st.integers(0, 2), upper=st.booleans())
def test_one_name_between_other_words_is_found(
    before: str, after: str, index: int, upper: bool
) -> None:
    phrase = LESIONS[index].phrase.upper() if upper else LESIONS[index].phrase
    assert parse_reply(f"{before} {phrase} {after}", LESIONS) == index


@given(pair=st.permutations(range(3)), between=PAUSES)
def test_two_names_are_never_parsed(pair: list[int], between: str) -> None:
    first, second = (LESIONS[index].phrase for index in pair[:2])
    assert parse_reply(f"{first} {between} {second}", LESIONS) is None


@given(reply=st.text(max_size=60), letters=st.booleans())
def test_any_text_gives_a_class_or_none(reply: str, letters: bool) -> None:
    found = parse_reply(reply, LESIONS, letters=letters)
    assert found is None or 0 <= found < len(LESIONS)


def test_accents_and_width_do_not_matter() -> None:
    names = [ClassNames("a", "Lésion bénigne"), ClassNames("b", "autre")]
    assert parse_reply("LE\u0301SION BE\u0301NIGNE", names) == 0
    assert parse_reply("ａｕｔｒｅ", names) == 1


@pytest.mark.parametrize(
    ("classes", "reply", "expected"),
    [
        (("maligno", "benigno"), "Não é maligno.", 1),
        (("maligno", "benigno"), "Não se pode excluir que seja maligno", None),
        (("maligno", "benigno"), "A lesão é benigna, não maligna", 1),
        (("maligno", "benigno"), "Nessun segno maligno", None),
        (("maligno", "benigno"), "Provavelmente maligno", 0),
        (("goedaardig", "kwaadaardig"), "Geen kwaadaardig letsel", 0),
        (("goedaardig", "kwaadaardig"), "kwaadaardig kan niet worden uitgesloten", None),
        (("złośliwy", "łagodny"), "To nie jest złośliwy guz", 1),
        (("kötü huylu", "iyi huylu"), "kötü huylu değil", None),
        (("злокачественная", "доброкачественная"), "Опухоль не злокачественная", 1),
        (("злокачественная", "доброкачественная"), "Опухоль злокачественная", 0),
        (("злокачественная", "доброкачественная"), "маловероятно, что злокачественная", None),
        (("التهاب رئوي", "طبيعي"), "لا يوجد التهاب رئوي", 1),
        (("التهاب رئوي", "طبيعي"), "الصورة غير طبيعية", 0),
        (("التهاب رئوي", "طبيعي"), "يظهر الالتهاب الرئوي", 0),
        (("التهاب رئوي", "طبيعي"), "لا يمكن استبعاد التهاب رئوي", None),
        (("घातक", "सौम्य"), "यह घातक नहीं है", None),
        (("घातक", "सौम्य"), "यह घातक है", 0),
        (("ปกติ", "ผิดปกติ"), "ภาพนี้ผิดปกติ", 1),
        (("ปกติ", "ผิดปกติ"), "ไม่ปกติ", 1),
        (("ปกติ", "มะเร็ง"), "ผิดปกติ", None),
        (("normal", "pneumonia"), "sem pneumonia", 0),
        (("normal", "pneumonia"), "non-specific, but pneumonia", 1),
    ],
)
def test_a_denial_in_another_language_is_never_read_as_a_claim(
    classes: tuple[str, ...], reply: str, expected: int | None
) -> None:
    """Of languages whose rules are not known the words that deny are."""
    assert parse_reply(reply, [ClassNames(name, name) for name in classes]) == expected


@pytest.mark.parametrize(
    ("classes", "reply", "expected"),
    [
        (("肺炎", "正常"), "沒有肺炎", 1),
        (("肺炎", "正常"), "無法排除肺炎", None),
        (("惡性", "良性"), "最終診斷：非惡性", 1),
        (("惡性", "良性"), "惡性的可能性較低", 1),
        (("悪性", "良性"), "最終回答：良性", 1),
        (("قط", "كلب"), "قطار", None),
        (("قط", "كلب"), "هذا القط", 0),
        (("malignant", "benign"), "mali\u00adgnant\u200b", 0),
    ],
)
def test_scripts_are_read_as_they_are_written(
    classes: tuple[str, ...], reply: str, expected: int | None
) -> None:
    """Chinese in both ways of writing, words of Arabic as whole ones, signs that are not seen."""
    assert parse_reply(reply, [ClassNames(name, name) for name in classes]) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("benign—not malignant", 0),
        ("malignant-not benign", 1),
        ("~~benign~~ malignant", 1),
        ("<del>benign</del> malignant", 1),
        ("Benign? ✗", 1),
        ("Malignant: N", 0),
        ("P(malignant) = 0.03", None),
        ("Probability of malignancy: 0.9", 1),
        ("2% malignant", None),
        ("malignant (99%)", 1),
        ('{"malignant": 0.05}', None),
        ("Most likely benign, with less than 5% chance of malignancy.", 0),
        ("benign 0.05 cm nodule", 0),
        ("malignant (.12cm)", 1),
        ("malignant 10% of the area", 1),
        ("malignant or worse", None),
        ("benign. Sorry, malignant.", 1),
        ("It could not be more malignant", 1),
        ("no mention of malignant cells", None),
    ],
)
def test_signs_and_shares_say_what_they_say(reply: str, expected: int | None) -> None:
    assert parse_reply(reply, LESIONS[:2]) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Normal except for pneumonia.", 1),
        ("Normal apart from pneumonia", 1),
        ("No findings aside from pneumonia", 1),
        ("No disease besides pneumonia", 1),
        ("No evidence of disease other than pneumonia", 1),
        ("Pneumonia is excluded; except for a scar, normal", 0),
    ],
)
def test_what_is_excepted_from_normal_is_there(reply: str, expected: int) -> None:
    classes = [ClassNames(name, name) for name in ("normal", "pneumonia")]
    assert parse_reply(reply, classes) == expected


EXAMPLES = [example for name in SETS for example in corpus(name)]


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_the_corpus_is_read_right(every: int) -> None:
    """98% right, no denial read as what it denies, and hardly an answer where there is none."""
    # by classes, whose patterns take longer to make than replies to read
    asked = list(dict.fromkeys(example.classes for example in EXAMPLES))[::every]
    chosen = [example for example in EXAMPLES if example.classes in asked]
    read = [(example, example.named(example.read())) for example in chosen]
    assert len(read) >= 300
    wrong = [(example.reply, got) for example, got in read if got != example.right]
    assert len(wrong) <= 0.02 * len(read), wrong
    invented = [row for row in read if row[0].right == NO_ANSWER != row[1]]
    assert len(invented) <= 0.005 * len(read), invented
    denials = [row for row in read if row[0].kind == "negation"]
    assert [row for row in denials if row[1] not in (row[0].right, NO_ANSWER)] == []


def test_the_corpus_has_every_kind() -> None:
    kinds = {example.kind for example in EXAMPLES}
    assert kinds >= {"negation", "hedge", "comparison", "signs", "cjk", "numbers", "json"}
    assert len({(example.classes, example.reply) for example in EXAMPLES}) > 0.99 * len(EXAMPLES)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (
            "No malignant cells.",
            "'malignant' is denied by 'No', which leaves the other of two classes",
        ),
        ("<think>benign", "cut inside its reasoning"),
        ("<think>benign?</think>malignant", "its reasoning is left out; "),
        ("<answer>benign</answer>, not malignant", "only the marked 'benign' counts; "),
        ("benign or malignant", "'benign' and 'malignant' are both possible"),
        ("a mass", "it names no class"),
    ],
)
def test_a_reading_says_why(reply: str, why: str) -> None:
    assert read_reply(reply, LESIONS[:2]).why.startswith(why)


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("USER: which?\nASSISTANT:<think>", "<think>"),
        ("<think>an earlier turn</think> ASSISTANT:", ""),
        ("ASSISTANT: <unused94>thought", "<unused94>"),
        ("ASSISTANT:", ""),
    ],
)
def test_reasoning_that_the_prompt_opens_is_known(prompt: str, opened: str) -> None:
    assert left_open(prompt) == opened
    assert parse_reply(f"{opened}it looks benign", LESIONS) == (None if opened else 0)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<seed:think>malignant</seed:think>benign", 0),
        ("<seed:think>it is malignant", None),
        ("<|START_THINKING|>malignant? no<|END_THINKING|><|START_RESPONSE|>benign", 0),
        ("<|START_THINKING|>It looks benign", None),
        ("<|channel>thought\nmalignant<channel|>benign", 0),
        ("<|channel>thought\nmalignant", None),
        ("analysisThe lesion looks malignant.assistantfinalbenign", 0),
        ("analysis: malignant", 1),
        (
            "<SUMMARY>Benign?</SUMMARY><REASONING>no</REASONING><CONCLUSION>malignant</CONCLUSION>",
            1,
        ),
        ("<ref>malignant</ref><box>(1,2),(3,4)</box>", 1),
        ("benign<|eot_id|>user: malignant?", 0),
        ("benign ### Human: malignant?", 0),
    ],
)
def test_the_marks_of_models_are_known(reply: str, expected: int | None) -> None:
    """Of reasoning, answers, turns and places in an image, as Seed, Command A, Gemma, gpt-oss,
    LLaVA-CoT and Qwen write them, also where special tokens were left out."""
    assert parse_reply(reply, LESIONS) == expected


@pytest.mark.parametrize("reply", ["benign<|im_end|>", "<s> benign</s>", "benign<end_of_turn>"])
def test_tokens_of_the_tokenizer_are_no_words(reply: str) -> None:
    assert parse_reply(reply, LESIONS) == 0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("tumour", "Tumors", True),
        ("Stage II", "stage 2", True),
        ("no_pneumonia", "No pneumonia", True),
        ("ER+", "ER-", False),
        ("T2", "T2a", False),
        ("pneumonia", "no pneumonia", False),
    ],
)
def test_names_that_replies_cannot_tell_apart(first: str, second: str, expected: bool) -> None:
    assert alike([first, "other", second]) == ([(0, 2)] if expected else [])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("The image shows one", 1),
        ("It depicts the number that I would call two.", 2),
        ("It is a one.", 1),
        ("It is a clear two.", 2),
        ("This is the abnormal one.", None),
        ("There are two.", None),
        ("I can only see one", None),
        ("One of them is darker than the rest.", None),
    ],
)
def test_a_number_that_ends_a_reply_is_a_class_unless_it_counts_or_points(
    reply: str, expected: int | None
) -> None:
    classes = [ClassNames(name, name) for name in ("zero", "one", "two")]
    assert read_reply(reply, classes).index == expected
