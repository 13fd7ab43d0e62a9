"""Write the five parts of a vocabulary's definition to a folder, for `bench/core.rs`.

python bench/dump_definition.py VOCABULARY FOLDER [PATTERN]
"""

import sys
from pathlib import Path

import bytewright as bw


def main() -> None:
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    vocabulary, folder, pattern = (*sys.argv[1:], None)[:3]
    definition = bw.Tokenizer.load(str(vocabulary), pattern=pattern).definition
    parts = Path(str(folder))
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "header").write_text(definition.header)
    for part in ("arena", "offsets", "kinds", "merges"):
        (parts / part).write_bytes(getattr(definition, part))


if __name__ == "__main__":
    main()
