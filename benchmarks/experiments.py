"""What `benchmarks.results` measures: one entry for each training, with what stands beside it."""

from __future__ import annotations

import functools

from benchmarks.experiment import Evaluation, Experiment, Published
from benchmarks.experiment_files import FSDD_SPEAKERS, last_characters, without_speaker


def _sample(
    application: str, metric: str, minutes: float, more: tuple[str, ...] = ()
) -> Experiment:
    """An application with its defaults on the sample that it makes itself."""
    return Experiment(
        f"sample-{application}",
        application,
        "the built-in sample, all defaults",
        "",
        (Evaluation("another draw of the sample", "--data sample"),),
        metric,
        minutes,
        more=more,
    )


def _fsdd_speaker(speaker: str) -> Experiment:
    return Experiment(
        f"fsdd-without-{speaker}",
        "keywords",
        speaker,
        "--data MADE/train.csv --minutes 5",
        (Evaluation(f"500 recordings of {speaker}", "--data MADE/test.csv"),),
        "accuracy",
        6,
        "minutes",
        bar=0.85,
        group="Free Spoken Digit Dataset, one speaker left out and measured on",
        averaged=True,
        made=functools.partial(without_speaker, speaker=speaker),
        needs=("speech/fsdd",),
    )


def _ett(
    name: str, horizon: int, minutes: float, published: tuple[Published, ...] = ()
) -> Experiment:
    file = f"DATA/timeseries/ett/{name}.csv"
    return Experiment(
        f"{name.lower()}-{horizon}",
        "forecasting",
        f"{name}, {horizon} rows ahead",
        f"--data {file} --until '#11520' --set horizon={horizon} "
        "--set validation_fraction=0.25 --minutes 20",
        (
            Evaluation(
                "the 4 months that follow", f"--data {file} --since '#11520' --until '#14400'"
            ),
        ),
        "mse",
        minutes,
        more=("mae", "pinball", "coverage"),
        published=published,
        bar=0.341 if published else None,
        headline=bool(published),
    )


def _vix(target: str, horizon: int) -> Experiment:
    file = "DATA/timeseries/vix/vix-daily.csv"
    return Experiment(
        f"vix-{target}-{horizon}",
        "stocks",
        f"{target}, {horizon} {'row' if horizon == 1 else 'rows'} ahead",
        f"--data {file} --until 2015-01-01 --set target={target} --set horizon={horizon}",
        (Evaluation("VIX since 2015", f"--data {file} --since 2015-01-01"),),
        "pinball",
        1,
        group="VIX, daily since 1990, learnt until 2015 and measured on what follows",
        headline=(target, horizon) == ("return", 1),
    )


_MULTI30K = "DATA/text/multi30k"
EXPERIMENTS = (
    *(_vix(target, horizon) for target in ("return", "volatility") for horizon in (1, 5)),
    _ett(
        "ETTh1",
        96,
        4,
        (
            Published("DLinear", ("0.375",)),
            Published("PatchTST", ("0.370",)),
            Published("SegRNN, without its last partial batch", ("0.341",)),
        ),
    ),
    _ett("ETTh2", 96, 4),
    _ett("ETTh1", 192, 6),
    _ett("ETTh1", 336, 8),
    _ett("ETTh1", 720, 10),
    Experiment(
        "nab",
        "anomalies",
        "NAB, 58 files, its own score",
        None,
        (Evaluation("all rows, one threshold for all files", "DATA/timeseries/nab"),),
        "standard",
        10,
        more=("low_fp", "low_fn"),
        published=(
            Published("random", ("11.0", "16.8")),
            Published("windowed Gaussian", ("39.6",)),
            Published("HTM", ("64.7", "70")),
            Published("ARTime", ("74.9",)),
        ),
        bar=70.0,
        headline=True,
        module="benchmarks.nab",
    ),
    Experiment(
        "fights",
        "actions",
        "Fights, 271 surveillance clips, split by source film",
        "--data DATA/video/fights/train.csv --columns group=source",
        (Evaluation("67 clips of other films", "--data DATA/video/fights/test.csv"),),
        "accuracy",
        5,
        published=(Published("pretrained Xception, BiLSTM and attention", ("about 0.72",)),),
        headline=True,
    ),
    Experiment(
        "fsdd",
        "keywords",
        "Free Spoken Digit Dataset, official split",
        "--data DATA/speech/fsdd/train.csv --minutes 6",
        (Evaluation("300 recordings; speakers overlap", "--data DATA/speech/fsdd/test.csv"),),
        "accuracy",
        7,
        "minutes",
        headline=True,
    ),
    *map(_fsdd_speaker, FSDD_SPEAKERS),
    Experiment(
        "wnut17",
        "entities",
        "WNUT-17, standard split, no outside vectors",
        "--data DATA/text/wnut17/wnut17train.conll "
        "--validation DATA/text/wnut17/emerging.dev.conll",
        (Evaluation("1,287 sentences", "--data DATA/text/wnut17/emerging.test.annotated"),),
        "f1",
        15,
        more=("precision", "recall"),
        published=(Published("BiLSTM-CRF with pretrained vectors", ("0.419",)),),
        bar=0.30,
        headline=True,
    ),
    Experiment(
        "imdb",
        "sentiment",
        "IMDB reviews, standard split, no outside vectors",
        "--data DATA/text/imdb/train.jsonl.gz --minutes 90 --epochs 4 "
        "--set validation_fraction=0.05 --set learning_rate=0.001 --set word_dropout=0.2 "
        "--set input_dropout=0.3 --set output_dropout=0.5",
        (Evaluation("25,000 reviews", "--data DATA/text/imdb/test.jsonl.gz"),),
        "accuracy",
        18,
        more=("cross_entropy",),
        published=(
            Published("supervised only, LSTM", ("0.85", "0.88")),
            Published("supervised only, NBSVM", ("0.912",)),
            Published("supervised only, oh-2LSTMp (Johnson & Zhang 2016)", ("0.919",)),
            Published("pretrained on more reviews, SA-LSTM (Dai & Le 2015)", ("0.928",)),
        ),
        headline=True,
    ),
    Experiment(
        "an4",
        "transcription",
        "AN4, standard split, language model of the training transcripts",
        "--data DATA/speech/an4/train.csv --minutes 55 --epochs 100",
        (Evaluation("130 recordings of 10 other speakers", "--data DATA/speech/an4/test.csv"),),
        "wer",
        60,
        "minutes",
        more=("cer",),
        published=(
            Published("LSTM, deepspeech.pytorch (from memory)", ("0.106",)),
            Published("a Transformer", ("0.074",)),
        ),
        headline=True,
    ),
    Experiment(
        "shakespeare",
        "generation",
        "Shakespeare, characters; the same last tenth chose the epoch",
        "--data DATA/text/shakespeare/input.txt --minutes 60",
        (Evaluation("111,540 characters", "--data MADE/last-tenth.txt"),),
        "nats_per_character",
        63,
        "minutes",
        published=(
            Published("a small Transformer, on a GPU", ("1.47",)),
            Published("the same, on a CPU after 3 minutes", ("1.88",)),
        ),
        headline=True,
        made=functools.partial(last_characters, count=111_540),
    ),
    Experiment(
        "multi30k",
        "translation",
        "Multi30k, English to German, 29,000 pairs",
        f"--data {_MULTI30K}/train.en.gz,{_MULTI30K}/train.de.gz "
        f"--validation {_MULTI30K}/val.en.gz,{_MULTI30K}/val.de.gz --minutes 90",
        tuple(
            Evaluation(
                f"test_{year}_flickr",
                f"--data {_MULTI30K}/test_{year}_flickr.en.gz,{_MULTI30K}/test_{year}_flickr.de.gz",
            )
            for year in (2016, 2017)
        ),
        "bleu",
        95,
        more=("chrf",),
        published=(Published("LSTM with attention on these 29,000 pairs", ("33", "38")),),
        headline=True,
    ),
    _sample("sentiment", "accuracy", 2),
    _sample("keywords", "accuracy", 13),
    _sample("transcription", "wer", 50, ("cer",)),
    _sample("actions", "accuracy", 8),
    _sample("generation", "nats_per_character", 7),
    _sample("entities", "f1", 3, ("precision", "recall")),
    _sample("translation", "bleu", 18, ("chrf",)),
    _sample("forecasting", "pinball", 2, ("mse", "mae", "coverage")),
    _sample("stocks", "pinball", 2, ("mse", "mae", "coverage")),
    _sample("anomalies", "auc_pr", 2, ("event_f1", "event_precision", "event_recall")),
)
