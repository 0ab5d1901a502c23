"""The two repositories of the story: the application's with its release, and the infrastructure's."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from opsbrief.demo import story
from opsbrief.errors import OpsbriefError
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.process import run

_CLIENT_OLD = """package c.e.shop.search;

public class UpstreamClient {
    public Response send(Request request) {
        try (Connection connection = pool.borrow(2000)) {
            return connection.exchange(request);
        }
    }
}
"""
_CLIENT_NEW = """package c.e.shop.search;

public class UpstreamClient {
    private final Handles handles = new Handles();

    public Response send(Request request) {
        Connection connection = pool.borrow(2000);
        Handle handle = handles.open(connection);
        Response response = connection.exchange(request);
        if (!handle.isReleased()) {
            log.error("connection to {} not released after response, handle {}", connection.peer(), handle);
        }
        return response;
    }
}
"""
_SUGGEST = """package c.e.shop.web;

@Path("/api/v2/suggest")
public class SuggestResource {
    @GET public List<String> suggest(@QueryParam("q") String q) { return index.complete(q); }
}
"""
_RELEASE = (  # subject, path, content, hours before the tag
    ("Add the suggest endpoint", "src/web/SuggestResource.java", _SUGGEST, 50.0),
    ("Suggest: complete from the search index", "src/web/SuggestIndex.java", "class SuggestIndex {}\n", 47.5),
    ("Keep upstream handles for reuse", "src/search/UpstreamClient.java", _CLIENT_NEW, 30.0),
    ("Rename upstream.keepalive to upstream.idle", "conf/shop.properties", "upstream.idle=30s\n", 27.0),
    ("Update the translation of the basket page", "src/web/basket_de.properties", "basket=Warenkorb\n", 22.0),
    (
        "Order service: log the number of items",
        "src/order/OrderService.java",
        "class OrderService { int items; }\n",
        6.0,
    ),
    ("Release 2.14.0", "VERSION", "2.14.0\n", 0.1),
)


class Repository:
    """A repository that is written with fixed people and times, so that ids come out the same."""

    def __init__(self, path: Path, deadline: Deadline) -> None:
        """Make the repository."""
        self.path = path
        self._deadline = deadline
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=production")

    def commit(self, at: datetime, subject: str, files: dict[str, str]) -> None:
        """Write ``files`` and commit them at ``at``."""
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", subject, at=at)

    def tag(self, at: datetime, name: str) -> None:
        """Write an annotated tag."""
        self._git("tag", "--annotate", name, "--message", name, at=at)

    def head(self) -> str:
        """Return the id of the last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *args: str, at: datetime | None = None) -> str:
        when = f"{int(at.timestamp())} +0000" if at else ""
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Dana Dev",
            "GIT_AUTHOR_EMAIL": "dana@shop.example",
            "GIT_COMMITTER_NAME": "Dana Dev",
            "GIT_COMMITTER_EMAIL": "dana@shop.example",
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_DATE": when,
        }
        if not at:
            env = {key: value for key, value in env.items() if not key.endswith("_DATE")}
        done = run(["git", "-C", str(self.path), *args], self._deadline, env=env)
        if done.status:
            raise OpsbriefError(f"git {args[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout.decode()


def write(folder: Path, end: datetime, deadline: Deadline, fixed: timedelta = story.NEVER) -> str:
    """Write ``folder/shop`` and ``folder/puppet``; return the last commit of the latter."""
    release = story.released(end, fixed)
    tagged = release - timedelta(seconds=211)
    shop = Repository(folder / "shop", deadline)
    shop.commit(
        release - timedelta(days=40),
        "Start the shop",
        {
            "src/search/UpstreamClient.java": _CLIENT_OLD,
            "conf/shop.properties": "upstream.keepalive=30s\n",
            "src/order/OrderService.java": "class OrderService {}\n",
            "VERSION": "2.13.1\n",
        },
    )
    shop.tag(release - timedelta(days=10, hours=1), "v2.13.1")
    shop.commit(release - timedelta(days=4), "Release 2.13.2", {"VERSION": "2.13.2\n"})
    shop.tag(release - timedelta(days=3, minutes=9), "v2.13.2")
    for subject, path, content, hours in _RELEASE:
        shop.commit(tagged - timedelta(hours=hours), subject, {path: content})
    shop.tag(tagged, "v2.14.0")
    if repaired := story.repaired(end, fixed):
        client = _CLIENT_NEW.replace("        return response;", "        handle.release();\n        return response;")
        files = {"src/search/UpstreamClient.java": client, "VERSION": "2.14.1\n"}
        shop.commit(repaired - timedelta(minutes=19), "Release the handle after the response", files)
        shop.tag(repaired - timedelta(seconds=188), "v2.14.1")
    puppet = Repository(folder / "puppet", deadline)
    puppet.commit(
        release - timedelta(days=90),
        "Import the manifests",
        {
            "manifests/site.pp": "node default { include base }\n",
            "modules/shop/manifests/init.pp": "class shop {}\n",
        },
    )
    puppet.commit(
        release - timedelta(days=8),
        "Raise the open file limit of the shop",
        {"modules/shop/manifests/limits.pp": "class shop::limits { $nofile = 8192 }\n"},
    )
    eve = (release - timedelta(days=1)).replace(hour=15, minute=20, second=0)
    puppet.commit(
        eve, "Renew the certificate of the load balancer", {"modules/balancer/files/shop.pem.sha256": "4be1\n"}
    )
    return puppet.head()
