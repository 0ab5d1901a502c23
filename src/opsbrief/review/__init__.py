"""What can be asked of finished bundles: are they true, and how do they differ."""
