"""A client of an exported ONNX file that has neither TensorFlow nor this package.

    python plain_client.py FOLDER '["a text", …]'

Prints the probability of each label for each text, as JSON.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime


def main(folder: Path, texts: list[str]) -> None:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    rules = json.loads(about["words"])
    lines = (folder / rules["vocabulary"]).read_bytes().decode().split("\n")[:-1]
    ids_of = {word: number for number, word in enumerate(lines, rules["first_id"])}

    def ids(text: str) -> list[int]:
        text = unicodedata.normalize(rules["form"], text).lower()
        for pattern, replacement in rules["rewrites"]:
            text = re.sub(pattern, replacement, text)
        words = [word for word in re.split(rules["split"], text) if word]
        first, last = rules["first_tokens"], rules["last_tokens"]
        if len(words) > first + last:
            words = words[:first] + words[len(words) - last :]
        return [ids_of.get(word, rules["unknown_id"]) for word in words] or [rules["unknown_id"]]

    rows = [ids(text) for text in texts]
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.full((len(rows), lengths.max()), rules["pad_id"], np.int32)
    for row, found in zip(padded, rows, strict=True):
        row[: len(found)] = found
    (logits,) = session.run(["outputs"], {"ids": padded, "lengths": lengths})
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = odds / odds.sum(-1, keepdims=True)
    labels = json.loads(about["labels"])
    answers = [dict(zip(labels, row, strict=True)) for row in probabilities.tolist()]
    print(json.dumps(answers))
    assert not {"tensorflow", "keras", "apps"} & set(sys.modules)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
