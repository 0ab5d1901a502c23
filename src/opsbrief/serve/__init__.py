"""A bundle as a Graphite and an Elasticsearch, for the tools that people already have.

Read only and from memory. Both speak at the same address: their paths do not meet.
"""

from collections.abc import Callable

from opsbrief.model.evidence import Evidence
from opsbrief.serve.errors import AskedError
from opsbrief.serve.graphite import Graphite
from opsbrief.serve.search import Search
from opsbrief.text import line
from opsbrief.transport.loopback import Question, Reply


def answerer(evidence: Evidence) -> Callable[[Question], Reply]:
    """Return the function that answers requests out of the evidence."""
    graphite, search = Graphite(evidence), Search(evidence)

    def answer(question: Question) -> Reply:
        try:
            return graphite.answer(question) or search.answer(question)
        except AskedError as error:
            return error.reply()
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
            # A body may be any JSON in any shape: what does not fit is the asker's.
            return AskedError(f"the question cannot be read: {line(str(error))}", kind="parsing_exception").reply()

    return answer
