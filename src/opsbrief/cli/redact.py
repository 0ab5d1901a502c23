"""``opsbrief redact``: a bundle that may go farther than the first one."""

import json
import os
from pathlib import Path

import click

from opsbrief import bundle, pipeline
from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.errors import BundleError

_FORMS = {"brief.html": "html", "brief.md": "md", "brief.txt": "txt", "brief.eml": "eml"}


@click.command(
    epilog="""\b
Examples:
  opsbrief redact opsbrief-shop-20261120T164000Z -o for-the-vendor.zip --share external
  opsbrief redact incident.tgz -o incident-clean --map ~/who-is-who.json

Credentials are looked for again, with today's rules and the configured patterns. With --share external, hosts,
addresses, mail addresses and people get pseudonyms, the same one everywhere; then everything is analysed and
rendered again. What was taken out is counted by rule in the manifest. The file of --map, which says who is who,
is for nobody else and stays outside the bundle."""
)
@options.bundle
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), metavar="NEW", help="Folder, .tgz or .zip."
)
@options.share
@click.option("--map", "key", type=click.Path(path_type=Path), metavar="FILE", help="Write who is who into this file.")
@click.pass_obj
def command(settings: Settings, path: Path, out: Path, share: str | None, key: Path | None) -> None:
    """Write a bundle again without credentials and, for outside, without names."""
    config = settings.load()
    form = out.suffix.removeprefix(".") if out.suffix in {f".{form}" for form in bundle.PACKS} else ""
    if os.path.lexists(out):
        raise BundleError(f"{out} is there already", "a bundle is never written over another; name a new one")
    if key and key.absolute().is_relative_to(out.absolute()):
        raise BundleError(f"{key} would lie inside the new bundle", "keep who is who apart from it")
    with bundle.opened(path) as store:
        formats = [_FORMS[name] for name in store.names() if name in _FORMS]
        evidence = bundle.evidence(store)
    evidence = pipeline.cleansed(config, evidence, "internal")
    masker = None
    if (share or config.redact.share) == "external":
        from opsbrief.mask import check, mask  # noqa: PLC0415 - only for outside

        evidence, masker = mask(evidence)
    content = bundle.files(evidence, pipeline.again(evidence, formats)[2])
    if masker:
        check(masker, content)
    if key:
        _keep(key, masker.names if masker else {})
    name = out.name.removesuffix(f".{form}") if form else out.name
    written = bundle.write(out.parent, name, content, config.secrets(), form=form)
    settings.say(", ".join(f"{rule}: {count:,}" for rule, count in evidence.redactions.items()) or "nothing taken out")
    click.echo(written)


def _keep(path: Path, names: dict[str, list[str]]) -> None:
    """Write the map for its owner alone; never over a file that is there."""
    document = {"format": "opsbrief.names/1", "names": names}
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}", "name a new file") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
