"""What a bundle cannot answer, said as each of the two servers would."""

import json

from opsbrief.transport.loopback import Reply


class AskedError(Exception):
    """A question that is not understood, or that nothing here can answer."""

    def __init__(self, message: str, status: int = 400, kind: str = "") -> None:
        """With ``kind`` the answer has the form of Elasticsearch's errors, else it is plain text."""
        super().__init__(message)
        self.message, self.status, self.kind = message, status, kind

    def reply(self) -> Reply:
        """Return the answer."""
        if not self.kind:
            return Reply(body=f"{self.message}\n".encode(), status=self.status, media_type="text/plain")
        reason = {"type": self.kind, "reason": self.message}
        document = {"error": {"root_cause": [reason], **reason}, "status": self.status}
        return Reply(body=json.dumps(document).encode(), status=self.status)
