"""Write the golden files anew: python -m tests.golden.renew. Read the difference before you commit it."""

from pathlib import Path

from tests.golden import story

from opsbrief.compose import compose
from opsbrief.render import data, html, markdown, text

HERE = Path(__file__).parent


def forms() -> dict[str, str]:
    """Return the story's brief in each form; graphs as text, so that drawing them may be improved freely."""
    evidence, findings = story.evidence(), story.findings()
    brief = compose(evidence, findings)
    return {
        "brief.txt": text.render(brief),
        "brief.md": markdown.render(brief, {figure.name: f"graphs/{figure.name}.png" for figure in brief.figures()}),
        "brief.html": html.render(brief, {}),
        "findings.json": data.findings(evidence, findings, brief).decode(),
    }


if __name__ == "__main__":
    for name, content in forms().items():
        (HERE / name).write_text(content, encoding="utf-8")
