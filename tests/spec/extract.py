#!/usr/bin/env python3
"""Writes sentences.json: every requirement of the draft, one entry for each sentence.

    python3 tests/spec/extract.py draft-ietf-webtrans-http3-16.md

The argument is the Markdown source of the draft, as tagged in its repository; the file is written
beside this script. Nothing reads the draft when the tests run, so this is needed for a new draft only.

What is taken: a sentence with one of the keywords of BCP 14 in capitals. MAY and OPTIONAL demand
nothing, so they are left out. A sentence with several keywords is one entry, with the first of the
strongest: MUST before SHOULD. SHALL and REQUIRED count as MUST, RECOMMENDED as SHOULD.

What is not taken, by rule:
- what stands before "--- middle" or behind "--- back": the title, the abstract, the authors;
- figures, between lines of tildes;
- the paragraph that says what the keywords mean: it is the one that names BCP 14;
- the section "IANA Considerations": it binds registries, not endpoints.

An id is the section and a running number within it: "4.4-3". It stays while the draft does.
"""

import hashlib
import json
import pathlib
import re
import sys

KEYWORD = re.compile(r"\b(MUST|SHALL|SHOULD|REQUIRED|(?:NOT )?RECOMMENDED)\b( NOT\b)?")
# The name that a draft's source has for a level, and the level that it counts as.
STRONG = {"MUST": "MUST", "SHALL": "MUST", "REQUIRED": "MUST"}
WEAK = {"SHOULD": "SHOULD", "RECOMMENDED": "SHOULD", "NOT RECOMMENDED": "SHOULD NOT"}


def slug(title):
    """The anchor that a heading has where it states none."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def outline(lines):
    """Numbers the sections. Gives (section, top-level title, line) for each line; anchors; titles."""
    numbered, anchors, titles = [], {}, {}
    counters, top, figure = [], "", False
    for line in lines:
        if re.match(r"\s*~{3,}", line):
            figure = not figure
            numbered.append((None, top, ""))
            continue
        heading = None if figure else re.match(r"(#+) (.*?)\s*(?:\{#(.+)\})?$", line)
        if heading:
            depth, title = len(heading[1]), heading[2]
            counters = (counters + [0])[:depth]
            counters[-1] += 1
            top = title if depth == 1 else top
            number = ".".join(map(str, counters))
            anchors[heading[3] or slug(title)] = number
            titles[number] = title
            line = ""
        section = None if figure else ".".join(map(str, counters))
        numbered.append((section, top, "" if figure else line))
    return numbered, anchors, titles


def paragraphs(numbered):
    """Joins lines. A blank line, a list item and a definition each begin a new paragraph."""
    where, words = None, []
    for section, top, line in numbered + [(None, "", "")]:
        item = re.match(r"\s*[*:-]\s+", line)
        attribute = line.startswith(("{:", "*["))
        if (item or attribute or not line.strip()) and words:
            yield *where, " ".join(words)
            words = []
        if line.strip() and not attribute:
            where = (section, top)
            words.append(line[item.end() if item else 0 :].strip())


def plain(text, anchors):
    """Markdown as a reader sees it."""

    def reference(match):
        inner = match[1]
        if inner in anchors:
            return "Section " + anchors[inner]
        if inner.startswith("fig-"):
            return "the figure"
        part, of, document = inner.rpartition(" of ")
        return f"{part}{of}[{re.sub('^[!?]|=.*', '', document)}]"

    text = re.sub(r"\{\{(.+?)\}\}", reference, text)
    text = re.sub(r"<sup>(.+?)</sup>", r"^\1", text)
    return text.replace("\\[", "[")


def sentences(paragraph):
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\"(])", paragraph)


def level(sentence):
    found = [(match[1] + (match[2] or "")) for match in KEYWORD.finditer(sentence)]
    for names in (STRONG, WEAK):
        for keyword in found:
            if keyword in names:
                return names[keyword]
            if keyword.endswith(" NOT") and keyword[:-4] in names:
                return names[keyword[:-4]] + " NOT"
    return None


def main(path):
    source = pathlib.Path(path).read_bytes()
    text = source.decode()
    middle = text.split("\n--- middle\n")[1].split("\n--- back\n")[0]
    numbered, anchors, titles = outline(middle.splitlines())
    entries, running = [], {}
    for section, top, paragraph in paragraphs(numbered):
        if "BCP 14" in paragraph or top == "IANA Considerations":
            continue
        for sentence in sentences(plain(paragraph, anchors)):
            strength = level(sentence)
            if strength is None:
                continue
            running[section] = running.get(section, 0) + 1
            entry = {"id": f"{section}-{running[section]}", "section": section}
            entries.append(entry | {"level": strength, "text": sentence})
    whole = {
        "draft": pathlib.Path(path).stem,
        "sha256": hashlib.sha256(source).hexdigest(),
        "sections": {section: titles[section] for section in running},
        "sentences": entries,
    }
    out = pathlib.Path(__file__).with_name("sentences.json")
    out.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(entries)} sentences of {whole['draft']}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
