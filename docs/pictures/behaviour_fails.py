TEXTS = ["a good film", "not a good film", "no good at all", "a bad film", "not bad", "hardly good"]
RIGHT = ["positive", "negative", "negative", "negative", "positive", "negative"]


def sentiment(texts):
    return ["positive" if "good" in text else "negative" for text in texts]


def test_negation(proof):
    proof.behaviour("negation", kind="MFT", inputs=TEXTS, expect=RIGHT, predict=sentiment)
