"""How to log in and whom to believe, as the HTTP client takes it: every value already revealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import urllib3


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How to log in. Values are already revealed; never printed."""

    user: str = ""
    password: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)  # Elasticsearch: Authorization: ApiKey ...
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def as_headers(self) -> dict[str, str]:
        """Return the headers that carry the credentials."""
        found = dict(self.headers)
        if self.bearer:
            found["Authorization"] = f"Bearer {self.bearer}"
        elif self.api_key:
            found["Authorization"] = f"ApiKey {self.api_key}"
        elif self.user:
            pair = urllib3.make_headers(basic_auth=f"{self.user}:{self.password}")
            found["Authorization"] = pair["authorization"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom to believe."""

    ca_file: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False
