"""What Puppet did, as PuppetDB and the agents' own reports tell it: versions, changed resources, whose nodes."""
