-- What the indexes of a repository hold, page by page, without the links to blobs between.
CREATE INDEX manifest_link_children ON manifest_link (repository, manifest, target)
    WHERE kind = 'manifest';
