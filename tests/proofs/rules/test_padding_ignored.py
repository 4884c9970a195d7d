"""Bugs of the class `padding-ignored`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "padding-ignored"
WORDS = 9
LENGTHS = torch.tensor([7, 4, 6, 7, 2, 5])


class Reader(nn.Module):
    """Embeds tokens, lets them see each other, and reads the sentence or each place."""

    def __init__(self, pool=None, *, use_mask=True):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head, self.pool, self.use_mask = nn.Linear(8, 3), pool, use_mask

    def forward(self, tokens, mask):
        x = self.embed(tokens)
        hidden = ~mask if self.use_mask else None
        x = x + self.attention(x, x, x, key_padding_mask=hidden)[0]
        return self.head(x if self.pool is None else self.pool(x, mask))


def masked_mean(x, mask):
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def sentences(name="mask", *, labels_per_place=False):
    mask = torch.arange(7) < LENGTHS[:, None]
    tokens = torch.randint(1, WORDS, (6, 7)) * mask
    labels = torch.tensor([0, 1, 2, 1, 0, 2])
    return {"x": tokens, name: mask, "y": tokens % 3 if labels_per_place else labels}


def classifier(model, name="mask", **options):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], batch[name].bool()), batch["y"])

    return pairs.learner(model, sentences(name), loss_of, **options)


def tagger(ignore):
    def loss_of(model, batch):
        labels = batch["y"].masked_fill(~batch["mask"], -100) if ignore else batch["y"]
        return F.cross_entropy(model(batch["x"], batch["mask"]).transpose(1, 2), labels)  # here

    return pairs.learner(Reader(), sentences(labels_per_place=True), loss_of)


def test_padding_that_is_attended(caught):
    finding, _ = caught(RULE, lambda: classifier(Reader(masked_mean, use_mask=False)))
    assert finding.evidence["length"] == 2
    assert finding.evidence["padding known by"] == "mask"


def test_padding_in_a_mean(caught):
    caught(RULE, lambda: classifier(Reader(lambda x, mask: x.mean(1))))


def test_the_last_place_instead_of_the_last_word(caught):
    caught(RULE, lambda: classifier(Reader(lambda x, mask: x[:, -1]), "attention_mask"))


def test_a_mask_the_other_way_round(caught):
    def build():
        model = Reader(masked_mean)
        inner = model.forward
        model.forward = lambda tokens, mask: inner(tokens, ~mask | (mask.cumsum(1) == 1))
        return classifier(model)

    caught(RULE, build)


def test_lengths_that_a_recurrent_model_does_not_use(caught):
    caught(RULE, lambda: recurrent(lambda model, x, _: model.gru(model.embed(x))[1][0]))


def test_a_loss_that_counts_padding(caught):
    finding, line = caught(RULE, lambda: tagger(ignore=False))
    assert line.endswith("# here")
    assert finding.evidence["padded places counted"] == int((7 - LENGTHS).sum())


def heights(loss_of):
    """One number for each place."""
    batch = sentences()
    batch["y"] = torch.randn(6, 7) * batch["mask"]
    model = Reader()
    model.head = nn.Sequential(nn.Linear(8, 1), nn.Flatten())

    def loss(model, batch):
        return loss_of((model(batch["x"], batch["mask"]) - batch["y"]) ** 2, batch["mask"])

    return pairs.learner(model, batch, loss)


def test_a_regression_that_counts_padding(caught):
    finding, _ = caught(RULE, lambda: heights(lambda error, mask: error.mean()))
    assert finding.message.startswith("The loss counts padding")


def regression_of_what_is_no_padding():
    return heights(lambda error, mask: (error * mask).sum() / mask.sum())


def test_a_predict_of_ones_own(caught):
    def build():
        trainee = classifier(Reader(masked_mean))
        model = trainee.model
        everywhere = torch.ones(1, 1, dtype=torch.bool)
        trainee.predict = lambda batch: model.eval()(  # here
            batch["x"], everywhere.expand_as(batch["x"])
        ).detach()
        return trainee

    _, line = caught(RULE, build)
    assert line.endswith("# here")


class Placed(nn.Module):
    """Adds learned positions, and reads the mean of the words."""

    def __init__(self, count):
        super().__init__()
        self.embed, self.place = nn.Embedding(WORDS, 8), nn.Embedding(7, 8)
        self.head, self.count = nn.Linear(8, 3), count

    def forward(self, tokens, mask):
        x = self.embed(tokens) + self.place(self.count(mask))
        return self.head(masked_mean(x.tanh(), mask))


def from_the_first_word(mask):
    return (mask.cumsum(1) - 1).clamp_min(0)


def padded_in_front(count):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], batch["attention_mask"].bool()), batch["y"])

    batch = {
        name: each.flip(1) if each.dim() > 1 else each
        for name, each in sentences("attention_mask").items()
    }
    return pairs.learner(Placed(count), batch, loss_of)


def test_positions_counted_from_the_padding_in_front(caught):
    caught(RULE, lambda: padded_in_front(lambda mask: torch.arange(mask.shape[1])))


def square(pool):
    """As many rows as positions, so that only the convention says which axis is which."""
    trainee = classifier(Reader(pool))
    trainee.batch["x"], trainee.batch["mask"] = (
        trainee.batch[name][:, :6] for name in ("x", "mask")
    )
    return trainee


def test_as_many_rows_as_positions(caught):
    caught(RULE, lambda: square(lambda x, mask: x.mean(1)))


def points_in_sets(read):
    """Absent points hold noise; the model is given a mask, which is all that says so."""

    class Sets(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, points, mask):
            return self.head(read(self.inner(points).relu(), mask[..., None]))

    batch = {**sentences(), "x": torch.randn(6, 7, 4)}
    batch["mask"] = batch["mask"].float()
    return pairs.learner(Sets(), batch, lambda m, b: F.cross_entropy(m(b["x"], b["mask"]), b["y"]))


def test_absent_points_in_a_sum(caught):
    caught(RULE, lambda: points_in_sets(lambda x, mask: x.sum(1) / mask.sum(1)))


def translation(kept):
    """Only the answers are padded, and only the loss is given their mask."""
    embed, encode, decode = nn.Embedding(WORDS, 8), nn.GRU(8, 8), nn.GRU(8, 8, batch_first=True)
    model = nn.ModuleList([embed, encode, decode, nn.Linear(8, WORDS)])

    def loss_of(model, batch):
        state = encode(embed(batch["x"]).transpose(0, 1))[1]
        given = F.pad(batch["y"][:, :-1], (1, 0), value=1)
        logits = model[3](decode(embed(given), state)[0])
        each = F.cross_entropy(logits.transpose(1, 2), batch["y"], reduction="none")  # here
        return kept(each, batch["target_mask"])

    words = sentences("target_mask")
    batch = {
        "x": torch.randint(1, WORDS, (6, 5)),
        "y": words["x"],
        "target_mask": words["target_mask"],
    }
    return pairs.learner(model, batch, loss_of)


def test_a_mean_over_padded_answers(caught):
    _, line = caught(RULE, lambda: translation(lambda each, mask: each.mean()))
    assert line.endswith("# here")


def texts_with_an_end(dropped):
    """A causal model whose padding has the id of the token that ends a text."""
    model = nn.Sequential(nn.Embedding(WORDS, 8), nn.Linear(8, WORDS))
    batch = sentences("attention_mask")
    ends = torch.arange(7) == LENGTHS[:, None] - 1
    batch = {**batch, "x": batch["x"].masked_fill(ends, 0)}
    del batch["y"]

    def loss_of(model, batch):
        labels = batch["x"].masked_fill(dropped(batch), -100)
        return F.cross_entropy(model(batch["x"])[:, :-1].transpose(1, 2), labels[:, 1:])  # here

    return pairs.learner(model, batch, loss_of, target=None)


def test_an_end_of_text_that_is_dropped_with_the_padding(caught):
    finding, line = caught(RULE, lambda: texts_with_an_end(lambda batch: batch["x"] == 0))
    assert "learn to stop" in finding.message
    assert line.endswith("# here")


def recurrent(read):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.gru = nn.Embedding(WORDS, 8), nn.GRU(8, 8, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x, lengths):
            return self.head(read(self, x, lengths))

    batch = sentences()
    batch = {"x": batch["x"], "lengths": LENGTHS, "y": batch["y"]}
    return pairs.learner(
        Model(), batch, lambda m, b: F.cross_entropy(m(b["x"], b["lengths"]), b["y"])
    )


def nameless(model, what, *, left=False):
    """A tuple: tokens, then a mask of them or how long they are, then labels."""
    batch = sentences()
    x, mask = batch["x"], batch["mask"]
    x, mask = (x.flip(1), mask.flip(1)) if left else (x, mask)
    told = {"lengths": LENGTHS, "mask": mask, "hidden": ~mask}[what]

    def loss_of(model, batch):
        x, told, labels = batch
        kept = torch.arange(7) < told[:, None] if what == "lengths" else told ^ (what == "hidden")
        return F.cross_entropy(model(x, kept), labels)

    return pairs.learner(model, (x, told, batch["y"]), loss_of, target=2)


@pytest.mark.parametrize("what", ["lengths", "mask", "hidden"])
def test_padding_that_the_data_show(caught, what):
    caught(RULE, lambda: nameless(Reader(masked_mean, use_mask=False), what))


def test_padding_in_front_that_the_data_show(caught):
    caught(RULE, lambda: nameless(Reader(masked_mean, use_mask=False), "mask", left=True))


class Encoder(nn.Module):
    """Hides what it should see: nothing is left to look at where a row has no padding."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

    def forward(self, tokens, mask):
        x = self.layer(self.embed(tokens), src_key_padding_mask=mask)
        return self.head(masked_mean(x, mask))


def test_a_mask_the_other_way_round_where_every_row_is_padded(caught):
    def build():
        batch = sentences("attention_mask")
        padded = {name: F.pad(batch[name], (0, 2)) for name in ("x", "attention_mask")}

        def loss_of(model, batch):
            return F.cross_entropy(model(batch["x"], batch["attention_mask"]), batch["y"])

        return pairs.learner(Encoder(), {**batch, **padded}, loss_of)

    finding, _ = caught(RULE, build)
    assert finding.evidence["padded to"] == 9


def shown(what, *, left=False):
    def build():
        return nameless(Reader(masked_mean), what, left=left)

    build.__name__ = f"shown_by_{what}"
    return build


def numbers_that_are_no_lengths():
    """A whole number for each row, below the number of places, which are full."""
    model = Reader(lambda x, _: x.mean(1), use_mask=False)
    batch = (torch.randint(1, WORDS, (6, 7)), LENGTHS, torch.tensor([0, 1, 2, 1, 0, 2]))
    return pairs.learner(model, batch, lambda m, b: F.cross_entropy(m(b[0], b[1]), b[2]), target=2)


def numbers_written_in_ones():
    """A grade, and beside it as many ones: no padding, as there is nothing to pad."""

    def loss_of(model, batch):
        ones, _, labels = batch
        return F.cross_entropy(model(ones), labels)

    ones = (torch.arange(7) < LENGTHS[:, None]).float()
    batch = (ones, LENGTHS, torch.tensor([0, 1, 2, 1, 0, 2]))
    return pairs.learner(zoo.mlp(7), batch, loss_of, target=2)


class Words(nn.Module):
    """Gives the next word."""

    def __init__(self):
        super().__init__()
        self.embed, self.gru = nn.Embedding(WORDS, 8), nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, WORDS)

    def forward(self, x):
        return self.head(self.gru(self.embed(x))[0])


def random_tags(masked):
    """Labels that are drawn for the padding as well."""

    def loss_of(model, batch):
        mask = batch["attention_mask"]
        logits = model(batch["x"], mask).transpose(1, 2)
        losses = F.cross_entropy(logits, batch["y"], reduction="none")
        return (losses * mask).sum() / mask.sum() if masked else losses.mean()

    batch = {**sentences("attention_mask"), "y": torch.randint(0, 3, (6, 7))}
    return pairs.learner(Reader(), batch, loss_of)


def test_labels_of_any_kind_that_are_counted_in_the_padding(caught):
    assert "counts padding" in caught(RULE, lambda: random_tags(masked=False))[0].message


def test_labels_of_any_kind_that_are_masked():
    assert not torchproof.prove(lambda: random_tags(masked=True), rules=[RULE]).findings


def next_word(ignored):
    def loss_of(model, batch):
        logits = model(batch["x"][:, :-1])
        return F.cross_entropy(logits.transpose(1, 2), batch["x"][:, 1:], ignore_index=ignored)

    batch = {name: each for name, each in sentences("attention_mask").items() if name != "y"}
    return pairs.learner(Words(), batch, loss_of, target=None)


def test_next_words_asked_for_in_the_padding():
    (finding,) = torchproof.prove(lambda: next_word(-100), rules=[RULE]).findings
    assert "counts padding" in finding.message


def test_next_words_asked_for_in_the_sentence_alone():
    assert not torchproof.prove(lambda: next_word(0), rules=[RULE]).findings


def frames(loss_of):
    """Two numbers for each place, beside a count of the places."""

    def loss(model, batch):
        error = (model(batch["x"]) - batch["y"]).abs().mean(-1)
        return loss_of(error, torch.arange(7) < batch["count"][:, None])

    kept = (torch.arange(7) < LENGTHS[:, None])[..., None]
    batch = {"x": torch.randn(6, 7, 2) * kept, "y": torch.randn(6, 7, 2) * kept, "count": LENGTHS}
    return pairs.learner(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)), batch, loss)


def test_frames_of_several_numbers_that_are_counted_in_the_padding(caught):
    finding, _ = caught(RULE, lambda: frames(lambda error, _: error.mean()))
    assert "counts padding" in finding.message


def frames_of_the_content():
    return frames(lambda error, valid: (error * valid).sum() / valid.sum())


def declared(ignored=-100, *, inside=False):
    """Nothing but the embedding says which id is padding."""

    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits.transpose(1, 2), batch["y"], ignore_index=ignored)

    words = torch.randint(1, WORDS, (6, 8))
    words = words.masked_fill(torch.arange(8) > LENGTHS[:, None], 0)
    if inside:
        words[0, 3] = 0
    model = nn.Sequential(nn.Embedding(WORDS, 8, padding_idx=0), nn.Linear(8, WORDS))
    return pairs.learner(model, {"x": words[:, :-1], "y": words[:, 1:]}, loss_of)


def test_padding_that_an_embedding_declares_and_the_loss_counts():
    (finding,) = torchproof.prove(declared, rules=[RULE]).findings
    assert finding.evidence["padding known by"] == "padding_idx=0"


@pytest.mark.parametrize("options", [{"ignored": 0}, {"inside": True}])
def test_padding_that_an_embedding_declares_and_the_loss_leaves_out(options):
    assert not torchproof.prove(lambda: declared(**options), rules=[RULE]).findings


def places_of_a_whole(read):
    """One label for a whole text, whose places the step puts together itself."""

    def build():
        words = torch.randint(1, WORDS, (6, 7)).masked_fill(torch.arange(7) >= LENGTHS[:, None], 0)
        model = nn.Sequential(nn.Embedding(WORDS, 8, padding_idx=0), nn.Linear(8, 3))
        batch = {"x": words, "y": torch.arange(6) % 3}
        return pairs.learner(model, batch, lambda m, b: F.cross_entropy(read(m(b["x"])), b["y"]))

    return build


class Query(nn.Module):
    """A learned question is put to the words of a text."""

    def __init__(self, *, use_mask, mix=None):
        super().__init__()
        self.embed, self.head = nn.Embedding(WORDS, 8, padding_idx=0), nn.Linear(8, 3)
        self.query, self.use_mask = nn.Linear(8, 1), use_mask
        self.mix = None if mix is None else mix()

    def forward(self, words):
        x = self.embed(words)
        x = x if self.mix is None else self.mix(x)
        scores = self.query(x)[..., 0]
        if self.use_mask:
            scores = scores.masked_fill(words == 0, -torch.inf)
        return self.head((scores.softmax(1)[..., None] * x).sum(1))


def asked(**options):
    def build():
        words = torch.randint(1, WORDS, (6, 7)).masked_fill(torch.arange(7) >= LENGTHS[:, None], 0)
        batch = (words, torch.arange(6) % 3)
        model = Query(**options)
        return pairs.learner(model, batch, lambda m, b: F.cross_entropy(m(b[0]), b[1]), target=1)

    return build


def test_declared_padding_that_is_attended():
    (finding,) = torchproof.prove(asked(use_mask=False), rules=[RULE]).findings
    assert "depends on its padding" in finding.message
    assert finding.evidence["padding known by"] == "padding_idx=0"


class OfSeven(nn.Module):
    """Adds vectors of exactly seven places."""

    def __init__(self):
        super().__init__()
        self.places = nn.Parameter(torch.randn(7, 8))

    def forward(self, x):
        return x + self.places


@pytest.mark.parametrize("use_mask", [False, True])
def test_declared_padding_of_a_model_that_needs_its_full_length(use_mask):
    def build():
        trainee = asked(use_mask=use_mask, mix=OfSeven)()
        words, classes = trainee.batch
        trainee.batch = (words, classes, {"attention_mask": words != 0})
        return trainee

    proof = torchproof.prove(build, rules=[RULE])
    assert ["depends on its padding" in each.message for each in proof.findings] == [True][
        use_mask:
    ]


class Tied(nn.Module):
    """Gives the next word with the vectors that it reads words by."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 8, padding_idx=0)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, words):
        future = torch.ones(7, 7, dtype=torch.bool).triu(1)
        x = self.embed(words)
        return (x + self.attention(x, x, x, attn_mask=future)[0]) @ self.embed.weight.T


def test_vectors_of_words_that_are_used_twice_are_silent():
    def build():
        words = torch.randint(1, WORDS, (6, 8)).masked_fill(torch.arange(8) > LENGTHS[:, None], 0)

        def loss_of(model, batch):
            logits = model(batch["x"]).transpose(1, 2)
            return F.cross_entropy(logits, batch["y"], ignore_index=0)

        return pairs.learner(Tied(), {"x": words[:, :-1], "y": words[:, 1:]}, loss_of)

    assert not torchproof.prove(build, rules=[RULE]).findings


class Convolved(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize(
    "options", [{"use_mask": True}, {"use_mask": False, "mix": Convolved}], ids=["mask", "conv"]
)
def test_declared_padding_that_is_masked_or_read_by_a_convolution_is_silent(options):
    assert not torchproof.prove(asked(**options), rules=[RULE]).findings


def test_a_maximum_over_declared_padding_is_silent():
    build = places_of_a_whole(lambda z: z.amax(1))
    assert not torchproof.prove(build, rules=[RULE]).findings


class Translator(nn.Module):
    """Reads one sentence, of which the mask is, and writes another."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, WORDS)
        self.layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True)

    def forward(self, source, mask, x):
        past = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        x, source = self.embed(x), self.embed(source)
        return self.head(self.layer(x, source, tgt_mask=past, memory_key_padding_mask=~mask))


def another_sentence_than_the_padded_one(shorter):
    def build():
        batch = sentences("attention_mask")
        words = torch.randint(1, WORDS, (6, 8 - shorter))
        batch.update(x=words[:, :-1], y=words[:, 1:], source=batch["x"])

        def loss_of(model, batch):
            logits = model(batch["source"], batch["attention_mask"], batch["x"])
            return F.cross_entropy(logits.transpose(1, 2), batch["y"])

        return pairs.learner(Translator(), batch, loss_of)

    build.__name__ = f"another_sentence_{shorter}_shorter"
    return build


def packed():
    def read(model, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            model.embed(x), lengths, batch_first=True, enforce_sorted=False
        )
        return model.gru(packed)[1][0]

    return recurrent(read)


def masked():
    return classifier(Reader(masked_mean))


def masked_with_a_large_negative_number():
    class Biased(Reader):
        def forward(self, tokens, mask):
            x = self.embed(tokens)
            bias = torch.zeros(len(x), 1, x.shape[1]).masked_fill(~mask[:, None], -1e4)
            x = x + F.scaled_dot_product_attention(x, x, x, attn_mask=bias)
            return self.head(masked_mean(x, mask))

    return classifier(Biased(), "attention_mask")


def mean_in_float32_whatever_the_model_is_in():
    """Repeated in float64, the mean is rounded to float32 all the same (as GPT-J's attention)."""

    def pool(x, mask):
        over_all_places = (x * mask[..., None]).to(torch.float32).mean(1)
        return (over_all_places * mask.shape[1] / mask.sum(1, keepdim=True)).to(x.dtype)

    return classifier(Reader(pool))


def fast_path():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, 3)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, tokens, mask):
            return self.head(self.encoder(self.embed(tokens), src_key_padding_mask=~mask)[:, 0])

    return classifier(Encoder())


def tags_without_padding():
    return tagger(ignore=True)


def ones_for_padding():
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], ~batch["padding_mask"]), batch["y"])

    batch = sentences()
    batch = {"x": batch["x"], "padding_mask": ~batch["mask"], "y": batch["y"]}
    return pairs.learner(Reader(masked_mean), batch, loss_of)


def mask_of_hidden_tokens():
    """Masked modelling: the mask chooses what is asked, and everything is seen."""
    hidden = torch.rand(6, 7) < 0.5
    hidden[0], hidden[1] = False, torch.arange(7) >= 5
    tokens = torch.randint(1, WORDS, (6, 7))

    def loss_of(model, batch):
        logits = model(batch["x"].masked_fill(batch["mask"], 0), torch.ones_like(batch["mask"]))
        return F.cross_entropy(logits[batch["mask"]], batch["y"][batch["mask"]] % 3)

    return pairs.learner(Reader(), {"x": tokens, "mask": hidden, "y": tokens}, loss_of)


def mask_of_the_answer():
    """Only the end of each sentence is learned; its start is read all the same."""
    asked = torch.arange(7) >= LENGTHS[:, None] - 1
    asked[0] = True

    def loss_of(model, batch):
        logits = model(batch["x"], torch.ones_like(batch["mask"]))
        each = F.cross_entropy(logits.transpose(1, 2), batch["y"], reduction="none")
        return (each * batch["mask"]).sum() / batch["mask"].sum()

    tokens = torch.randint(1, WORDS, (6, 7))
    return pairs.learner(Reader(), {"x": tokens, "mask": asked, "y": tokens % 3}, loss_of)


def positions_counted_from_the_first_word():
    return padded_in_front(from_the_first_word)


def as_many_rows_as_positions():
    return square(masked_mean)


def absent_points_left_out():
    return points_in_sets(lambda x, mask: (x * mask).sum(1) / mask.sum(1))


def padded_answers_left_out():
    return translation(lambda each, mask: (each * mask).sum() / mask.sum())


def texts_that_end():
    return texts_with_an_end(lambda batch: batch["attention_mask"] == 0)


def text_padded_in_front():
    """The last place of the padding is trained to give the first word."""

    def loss_of(model, batch):
        labels = batch["x"].masked_fill(~batch["attention_mask"], -100)
        return F.cross_entropy(model(batch["x"])[:, :-1].transpose(1, 2), labels[:, 1:])

    words = sentences("attention_mask")
    batch = {"x": words["x"].flip(1), "attention_mask": words["attention_mask"].flip(1)}
    batch["labels"] = batch["x"]
    model = nn.Sequential(nn.Embedding(WORDS, 8), nn.Linear(8, WORDS))
    return pairs.learner(model, batch, loss_of, target="labels")


def answers_to_a_question_without_its_end():
    """Instruction tuning: the loss reads the answer only, and some end with the padding's id."""
    whole = texts_that_end()
    question = torch.arange(7) < 3

    def loss_of(model, batch):
        labels = batch["x"].masked_fill(question | ~batch["attention_mask"], -100)
        return F.cross_entropy(model(batch["x"])[:, :-1].transpose(1, 2), labels[:, 1:])

    return pairs.learner(whole.model, whole.batch, loss_of, target=None)


def mask_of_a_prefix():
    """What is marked is seen in both directions; the rest is read and learned, and no padding."""

    class Prefix(Reader):
        def forward(self, tokens, mask):
            x = self.embed(tokens)
            later = torch.ones(7, 7, dtype=torch.bool).triu(1)[: x.shape[1], : x.shape[1]]
            hidden = later & ~(mask[:, None] & mask[..., None])
            scores = (x @ x.transpose(1, 2)).masked_fill(hidden, -torch.inf)
            return self.head(x + scores.softmax(-1) @ x)

    def loss_of(model, batch):
        each = F.cross_entropy(
            model(batch["x"], batch["mask"]).transpose(1, 2), batch["y"], reduction="none"
        )
        return each[~batch["mask"]].mean()

    batch = sentences(labels_per_place=True)
    batch["x"] = torch.randint(1, WORDS, (6, 7))
    return pairs.learner(Prefix(), batch, loss_of)


def mask_of_global_attention():
    """As in Longformer: the first places see everything, and everything is read."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], torch.ones_like(batch["x"]).bool()), batch["y"])

    batch = sentences("global_attention_mask")
    batch["x"] = torch.randint(1, WORDS, (6, 7))
    return pairs.learner(Reader(masked_mean), batch, loss_of)


def texts_and_their_images(pool):
    """Two towers: the prediction for a text is how much it is like each image, and the reverse."""

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.reader, self.seer = Reader(pool), nn.Linear(5, 3)

        def forward(self, tokens, mask, images):
            texts = F.normalize(self.reader(tokens, mask), dim=-1)
            return F.normalize(self.seer(images), dim=-1) @ texts.T

    def build():
        batch = {**sentences(), "images": torch.randn(6, 5)}
        del batch["y"]

        def loss_of(model, batch):
            scores = model(batch["x"], batch["mask"], batch["images"])
            own = torch.arange(len(scores))
            return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

        return pairs.learner(Towers(), batch, loss_of, target=None)

    return build


def test_padding_in_texts_that_are_paired_with_images(caught):
    caught(RULE, texts_and_their_images(lambda x, mask: x.mean(1)))


RIGHT = [
    texts_and_their_images(masked_mean),
    shown("lengths"),
    shown("mask"),
    shown("hidden"),
    shown("mask", left=True),
    regression_of_what_is_no_padding,
    frames_of_the_content,
    masked,
    masked_with_a_large_negative_number,
    mean_in_float32_whatever_the_model_is_in,
    packed,
    fast_path,
    tags_without_padding,
    ones_for_padding,
    positions_counted_from_the_first_word,
    as_many_rows_as_positions,
    absent_points_left_out,
    padded_answers_left_out,
    texts_that_end,
    text_padded_in_front,
    answers_to_a_question_without_its_end,
    mask_of_a_prefix,
    mask_of_hidden_tokens,
    mask_of_the_answer,
    mask_of_global_attention,
]


NO_PADDING = [
    numbers_that_are_no_lengths,
    numbers_written_in_ones,
    another_sentence_than_the_padded_one(0),
    another_sentence_than_the_padded_one(1),
]


@pytest.mark.parametrize("build", [*RIGHT, *NO_PADDING, *zoo.HEALTHY[:4]])
@pytest.mark.parametrize("seed", [0, 1])
def test_right_programs_are_silent(build, seed):
    assert not torchproof.prove(build, rules=[RULE], seed=seed).findings


@pytest.mark.parametrize("build", RIGHT[:-3])
def test_padding_is_recognised(build):
    assert not torchproof.prove(build, rules=[RULE]).skipped


def two_sentences(pool):
    def build():
        first, second = sentences(), sentences()
        second["mask"] = first["mask"].flip(0)
        del second["y"]
        second["x"] = torch.randint(1, WORDS, (6, 7)) * second["mask"]
        model = Reader(pool)

        def scores(batch):
            return sum(model(batch[each]["x"], batch[each]["mask"]) for each in ("one", "other"))

        return pairs.learner(
            model,
            {"one": first, "other": second, "y": first.pop("y")},
            lambda _, batch: F.cross_entropy(scores(batch), batch["y"]),
            predict=lambda batch: scores(batch).detach(),
        )

    return build


def test_two_sentences_each_with_a_mask_of_its_own():
    assert not torchproof.prove(two_sentences(masked_mean), rules=[RULE]).findings


def test_padding_that_two_sentences_share(caught):
    caught(RULE, two_sentences(lambda x, mask: x.mean(1)))
