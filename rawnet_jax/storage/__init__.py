"""Where recordings lie: folders, object storage, tar files, and manifests that list them."""
